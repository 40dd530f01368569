#pragma once

#include <functional>

#include "absl/time/time.h"
#include "common/event_loop.h"

namespace vmsilo {

// Runs `loop` until `predicate` holds; false if it did not within `deadline`
// of real time or a handler failed, which is a test failure, too.
bool RunUntil(EventLoop* loop, const std::function<bool()>& predicate,
              absl::Duration deadline = absl::Seconds(10));

}  // namespace vmsilo
