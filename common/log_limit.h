#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "common/clock.h"

namespace vmsilo {

// Bounds how often something is logged that others decide about: `burst` times
// in a row, and then once in `interval`.
class LogLimit {
 public:
  LogLimit(const Clock* clock, int burst, absl::Duration interval);

  // How many were left out before this one, if it is to be logged.
  std::optional<uint64_t> Next();

 private:
  const Clock* clock_;
  int burst_;
  absl::Duration interval_;
  // When all of the burst is available (again).
  absl::Time full_at_ = absl::InfinitePast();
  uint64_t left_out_ = 0;
};

}  // namespace vmsilo
