#include "common/testing/run_until.h"

#include <algorithm>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "gtest/gtest.h"

namespace vmsilo {

bool RunUntil(EventLoop* loop, const std::function<bool()>& predicate,
              absl::Duration deadline) {
  const MonotonicClock clock;
  const absl::Time end = clock.Now() + deadline;
  while (!predicate()) {
    const absl::Duration left = end - clock.Now();
    if (left <= absl::ZeroDuration()) {
      ADD_FAILURE() << "nothing happened for " << deadline;
      return false;
    }
    // In slices: a predicate may watch what is no event of this loop.
    const absl::Status status =
        loop->RunOnce(std::min(left, absl::Milliseconds(20)));
    if (!status.ok()) {
      ADD_FAILURE() << status;
      return false;
    }
  }
  return true;
}

}  // namespace vmsilo
