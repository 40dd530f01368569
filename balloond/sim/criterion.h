#pragma once

#include <cstdint>

namespace vmsilo::balloond::sim {

// When a guest counts as under pressure: memory unmet, or more than this
// share of its hot page cache missing, unless it has only just booted.
inline constexpr double kHarmfulMiss = 0.25;
inline constexpr double kSettling = 8;  // seconds
// When the host does: more than this share of a step is stall.
inline constexpr double kHarmfulStall = 0.05;
// The share of the host's memory below which it stalls, as a planner counts
// (that and a little to reclaim from), and as the model does at that share.
inline constexpr double kHostReserve = 0.016;
inline constexpr double kHostReserveAtLeast = 0.0055;

// What a run may do to be called unharmed.
struct Criterion {
  // Share of the time: of the guests' together, and of the host's.
  double pressure = 0;
  bool allows_oom_deflation = false;
};
inline constexpr Criterion kStrict = {.pressure = 0.001};
inline constexpr Criterion kTolerant = {.pressure = 0.01,
                                        .allows_oom_deflation = true};

}  // namespace vmsilo::balloond::sim
