#include "common/clock.h"

#include <time.h>

#include "absl/time/time.h"

namespace vmsilo {

absl::Time MonotonicClock::Now() const {
  timespec now = {};
  // Cannot fail with a clock that every kernel has (man 2 clock_gettime).
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::UnixEpoch() + absl::DurationFromTimespec(now);
}

}  // namespace vmsilo
