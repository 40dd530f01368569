#include "balloond/stall.h"

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "balloond/policy.h"

namespace vmsilo::balloond {
namespace {

// From ChromeOS's VM memory management (platform2 vm_tools/concierge/mm):
// a balloon that grows by less than this in that time is stuck.
constexpr absl::Duration kLookInterval = absl::Seconds(5);
constexpr int64_t kLeastRate = 15 * kMiB;  // a second
// A small request is not stuck merely because it is small: what takes longer
// than this in all is.
constexpr double kLongestSeconds = 10;
// A guest that is giving memory back when more is asked of it has given back
// more by then than was seen, and ends first what it does.
constexpr absl::Duration kTurn = absl::Seconds(1);
constexpr int64_t kParkedBelow = 128 * kMiB;
constexpr int64_t kDone = kMiB;
// Each further stall blocks for twice as long.
constexpr absl::Duration kFirstBlock = absl::Seconds(10);
constexpr absl::Duration kLongestBlock = absl::Seconds(160);
// A guest that has behaved for so long begins anew.
constexpr absl::Duration kForgotten = absl::Minutes(10);
// A small guest never has so much; an eighth of its memory will do.
constexpr int64_t kSpareToUnblock = 256 * kMiB;

}  // namespace

int64_t StallWatch::ParkedTarget(int64_t balloon) {
  return std::max<int64_t>(0, balloon - kParkedBelow);
}

void StallWatch::OnInflate(int64_t balloon, int64_t target, int64_t last_target,
                           absl::Time now) {
  // A request that is merely changed goes on being watched, or a stream of
  // changes would hide that nothing moves.
  if (state_ != State::kMoving) {
    last_balloon_ = balloon;
    last_look_ = now;
    wanted_ = target - balloon;
    has_turned_ = last_target >= balloon - kDone;
    asked_ = now;
  }
  state_ = State::kMoving;
  target_ = target;
}

StallWatch::Verdict StallWatch::OnBalloon(int64_t balloon, absl::Time now) {
  if (state_ == State::kIdle) return Verdict::kNone;
  if (target_ - balloon <= kDone) {
    state_ = State::kHolding;
    last_balloon_ = balloon;
    return Verdict::kNone;
  }
  if (balloon > last_balloon_) has_turned_ = true;
  if (balloon < last_balloon_ - kDone) {
    if (state_ == State::kMoving && !has_turned_ && now - asked_ < kTurn) {
      last_balloon_ = balloon;
      return Verdict::kNone;
    }
    Block(now);
    return Verdict::kRefused;
  }
  if (state_ == State::kHolding) return Verdict::kNone;
  const absl::Duration elapsed = now - last_look_;
  if (elapsed < kLookInterval) return Verdict::kNone;
  const double rate = static_cast<double>(balloon - last_balloon_) /
                      absl::ToDoubleSeconds(elapsed);
  const double least = std::min(static_cast<double>(kLeastRate),
                                static_cast<double>(wanted_) / kLongestSeconds);
  if (rate < least) {
    Block(now);
    return Verdict::kStalled;
  }
  last_balloon_ = balloon;
  last_look_ = now;
  return Verdict::kNone;
}

void StallWatch::Block(absl::Time now) {
  state_ = State::kIdle;
  if (stalls_ == 0 || now - last_stall_ > kForgotten) {
    next_block_ = kFirstBlock;
  }
  ++stalls_;
  last_stall_ = now;
  blocked_until_ = now + next_block_;
  next_block_ = std::min(next_block_ * 2, kLongestBlock);
}

bool StallWatch::IsBlocked(int64_t spare, int64_t memory,
                           absl::Time now) const {
  if (stalls_ == 0) return false;
  if (now < blocked_until_) return true;
  // Every mark expires: a guest that is short for long is asked again, too.
  return spare < std::min(kSpareToUnblock, memory / 8) &&
         now < blocked_until_ + kLongestBlock;
}

}  // namespace vmsilo::balloond
