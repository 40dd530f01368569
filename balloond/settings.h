#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"

namespace vmsilo::balloond {

// What a person can set. The defaults are those of the configuration.
struct Settings {
  // The longest time between two rounds while anything moves.
  absl::Duration poll_interval = absl::Seconds(2);
  // The shortest, under pressure.
  absl::Duration min_poll_interval = absl::Milliseconds(100);
  // The longest when all is calm.
  absl::Duration calm_interval = absl::Seconds(10);
  // The pressure, in percent, at which polling is fastest; 0 ignores it.
  double psi_ceiling = 50;
  // The share of the host's memory that is never handed to guests. See
  // HostReserve().
  double critical_host_percent = 2;
  // What a guest keeps available, if it is not too small for it.
  int64_t critical_guest_available = int64_t{400} << 20;
  // Further memory that a guest keeps, in proportion to its balloon.
  int64_t guest_available_bias = int64_t{300} << 20;
};

// What is kept from guests at any price. On a small host a share of it would be
// less than the programs that must run are read into.
inline constexpr int64_t kLeastHostReserve = int64_t{128} << 20;
inline int64_t HostReserve(double critical_host_percent, int64_t total) {
  return std::max(
      kLeastHostReserve,
      static_cast<int64_t>(std::llround(static_cast<double>(total) *
                                        critical_host_percent / 100)));
}

}  // namespace vmsilo::balloond
