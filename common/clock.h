#pragma once

#include "absl/time/time.h"

namespace vmsilo {

// Time for deadlines and intervals. It counts from an arbitrary start, goes
// on while the machine is suspended no more than CLOCK_MONOTONIC does, is
// never shown to anybody and never compared with absl::Now().
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

// The kernel's CLOCK_MONOTONIC.
class MonotonicClock : public Clock {
 public:
  absl::Time Now() const override;
};

}  // namespace vmsilo
