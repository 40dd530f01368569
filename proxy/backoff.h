#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace vmsilo::proxy {

// How long to wait between attempts to reach a guest that boots: short at
// first, because most guests are up already or about to be, then four times a
// second, which no one notices and which adds little to a boot of seconds.
class Backoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(10);
  static constexpr absl::Duration kMax = absl::Milliseconds(250);

  absl::Duration Next() {
    const absl::Duration delay = next_;
    next_ = std::min(2 * next_, kMax);
    return delay;
  }

 private:
  absl::Duration next_ = kFirst;
};

}  // namespace vmsilo::proxy
