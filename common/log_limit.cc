#include "common/log_limit.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "common/clock.h"

namespace vmsilo {

LogLimit::LogLimit(const Clock* clock, int burst, absl::Duration interval)
    : clock_(clock), burst_(burst), interval_(interval) {}

std::optional<uint64_t> LogLimit::Next() {
  const absl::Time now = clock_->Now();
  const absl::Time full_at = std::max(full_at_, now) + interval_;
  if (full_at - now > burst_ * interval_) {
    ++left_out_;
    return std::nullopt;
  }
  full_at_ = full_at;
  return std::exchange(left_out_, 0);
}

}  // namespace vmsilo
