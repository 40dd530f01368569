#pragma once

#include "absl/time/time.h"
#include "common/clock.h"

namespace vmsilo {

// Stands still until it is told to advance.
class FakeClock : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
};

}  // namespace vmsilo
