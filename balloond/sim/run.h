#pragma once

#include <functional>

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

// Is shown the world after every step.
using Watcher = std::function<void(const World& world)>;

// Lets one policy run one timeline.
RunResult Simulate(const Timeline& timeline, const Policy& policy,
                   const RunOptions& options, const Watcher& watcher = nullptr);

}  // namespace vmsilo::balloond::sim
