#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace vmsilo::balloond {

// Watches whether a guest follows when memory is asked of it. A guest that
// does not, or that takes memory back because it ran out, has its target moved
// to where it is, so that its driver stops trying, and is left alone for a
// while. Every such mark expires.
class StallWatch {
 public:
  enum class Verdict {
    kNone,
    kStalled,  // does not move
    kRefused,  // has taken back what it had given
  };

  // A balloon larger than it is was asked for, instead of `last_target`.
  void OnInflate(int64_t balloon, int64_t target, int64_t last_target,
                 absl::Time now);
  // Anything else was.
  void OnOther() { state_ = State::kIdle; }

  // The guest's balloon has been looked at. After kStalled and kRefused the
  // caller moves the target to ParkedTarget().
  Verdict OnBalloon(int64_t balloon, absl::Time now);

  static int64_t ParkedTarget(int64_t balloon);

  // Whether more may be asked of a guest with so much `memory`. `spare` is what
  // it has beyond its critical amount: one that has little stays blocked.
  bool IsBlocked(int64_t spare, int64_t memory, absl::Time now) const;
  int stalls() const { return stalls_; }

 private:
  enum class State {
    kIdle,
    kMoving,   // toward the target
    kHolding,  // it is there, and is to stay
  };

  void Block(absl::Time now);

  State state_ = State::kIdle;
  // Whether it has grown since it was asked to, if it was shrinking then, and
  // when that was.
  bool has_turned_ = false;
  absl::Time asked_;
  int64_t target_ = 0;
  int64_t wanted_ = 0;  // how much was asked for at first
  int64_t last_balloon_ = 0;
  absl::Time last_look_;
  absl::Time blocked_until_ = absl::InfinitePast();
  absl::Duration next_block_;
  absl::Time last_stall_ = absl::InfinitePast();
  int stalls_ = 0;
};

}  // namespace vmsilo::balloond
