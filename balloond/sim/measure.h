#pragma once

#include <optional>

#include "balloond/sim/bounds.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

// No host has more, MiB: a policy that needs more than this has failed.
inline constexpr double kLargestHost = 65536;
// How exactly the least host is sought.
inline constexpr double kHostResolution = 160;

// The least host memory, MiB, with which `policy` meets `criterion`; nothing
// if kLargestHost does not suffice. Bisection finds a size that passes with
// one at most kHostResolution below it that fails; a little more must pass
// then, too, or the search goes on above what failed.
std::optional<double> LeastHost(const Timeline& timeline, const Policy& policy,
                                RunOptions options, const Bounds& bounds,
                                const Criterion& criterion);

}  // namespace vmsilo::balloond::sim
