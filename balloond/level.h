#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {

// Everybody keeps the same distance to the point where it begins to hurt: the
// guests to their critical amount of available memory, the host to its own.
//
// For one VM this is ChromeOS's BalanceAvailable. With several, that rule lets
// each of them close the gap to the host as if it were alone, and from four on
// they swing; here one level is found for all at once. What an inflation
// yields is weighed by how much of what would be taken is there at all.
class LevelPolicy final : public Policy {
 public:
  bool WaitsForSamples() const override { return true; }
  std::vector<bool> DueSamples(const Snapshot& snapshot) const override;
  std::vector<Wish> Decide(const Snapshot& snapshot) const override;
  absl::Duration UntilNextRound(const Snapshot& snapshot) const override;
};

namespace level_internal {

// One guest in the equation. `low` and `high` bound the change of its balloon.
struct Party {
  int64_t headroom = 0;
  int64_t low = 0;
  int64_t high = 0;
  double yield = 1;  // what the host gets of a byte that is taken
};

// The level: the headroom at which host and guests meet, where
//   host + sum of changes (inflations by their yield) = level,
//   change = clamp(headroom - level, low, high).
int64_t FindLevel(int64_t host_headroom, const std::vector<Party>& parties);

}  // namespace level_internal

// The share of a round's interval that pressure leaves: `poll` without any,
// `min_poll` from the ceiling on.
absl::Duration PressureInterval(const Settings& settings, double pressure);

}  // namespace vmsilo::balloond
