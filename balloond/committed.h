#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"

namespace vmsilo::balloond {

// Lends only what exists. What the host could spend on guests is what it has
// left plus what they occupy already; each guest gets what it uses and a
// reserve, and what remains is shared by all, the host included. The sum of
// what guests may touch then never exceeds what there is.
//
// A guest that grows into memory that it has not touched before is seen from
// outside, by the memory that its VM occupies: that costs no message. Only a
// guest that is short and has touched all it has must be asked often.
class CommittedPolicy final : public Policy {
 public:
  bool WaitsForSamples() const override { return false; }
  std::vector<bool> DueSamples(const Snapshot& snapshot) const override;
  std::vector<Wish> Decide(const Snapshot& snapshot) const override;
  absl::Duration UntilNextRound(const Snapshot& snapshot) const override;
};

}  // namespace vmsilo::balloond
