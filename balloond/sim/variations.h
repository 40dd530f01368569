#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

inline constexpr int64_t kStepUsec = 100'000;
inline constexpr int64_t kFineStepUsec = 50'000;

// Another world than the usual: what a hypervisor, a guest or the model might
// do otherwise.
struct Variation {
  std::string name;
  std::function<void(RunOptions*)> apply;
  int64_t step_usec = kStepUsec;
};

// The usual world is the first.
std::vector<Variation> Variations();

// Score and worst workload of each policy in each variation.
Table VariationTable(const std::vector<Trace>& traces,
                     const std::vector<Policy>& policies,
                     const RunOptions& options);

}  // namespace vmsilo::balloond::sim
