#pragma once

#include <vector>

#include "absl/time/time.h"
#include "balloond/settings.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/result.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {

struct RunOptions {
  WorldOptions world;
  Settings settings;
  // From a request for statistics to the answer, which says how things were
  // when it was asked.
  absl::Duration lag = absl::Milliseconds(100);
  // Statistics are renewed only so often, and asking gives the last ones: so
  // QEMU has it. 0: at every request.
  absl::Duration renewal = absl::ZeroDuration();
  // Give up as soon as this criterion can no longer be met.
  const Criterion* stop_at_harm = nullptr;
};

// A look at the world after a step, for plots.
struct Snapshot {
  double time = 0;
  double host_free = 0;
  std::vector<double> balloons;
  std::vector<double> used;  // what programs and hot page cache want
};

// Lets one policy run one timeline.
RunResult Simulate(const Timeline& timeline, const Policy& policy,
                   const RunOptions& options,
                   std::vector<Snapshot>* snapshots = nullptr);

}  // namespace vmsilo::balloond::sim
