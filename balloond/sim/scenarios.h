#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

// Random desks have the numbers from 1 on. Those above kLastTuningSeed are
// for one look at the very end: whoever tunes a policy on them measures
// nothing.
inline constexpr int kLastTuningSeed = 10;
inline constexpr int kLastSeed = 20;

// The workload of this name: one of ScenarioNames(), "desk" with a number, or
// "stream" with the number of VMs and the cache's growth in MiB a second
// ("stream-8-200"). NotFound, naming them, otherwise.
absl::StatusOr<Trace> MakeScenario(absl::string_view name);

// Those whose efficiency makes the score, without the desks.
std::vector<std::string> ScoredScenarios();
// Those that run with a host of a fixed size, for what else they show.
std::vector<std::string> FixedScenarios();
// Streams of all sizes, to see who swings.
std::vector<std::string> StreamScenarios();
// All with a name of their own.
std::vector<std::string> ScenarioNames();

}  // namespace vmsilo::balloond::sim
