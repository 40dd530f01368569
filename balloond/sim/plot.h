#pragma once

#include <string>
#include <vector>

#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/suite.h"

namespace vmsilo::balloond::sim {

// A drawing (SVG) of what becomes of a host's memory under each of the
// policies, one above the other: what the host's programs have, what guests
// need, what they occupy beyond that, and where somebody is harmed.
std::string Plot(const Workload& workload, const std::vector<Policy>& policies,
                 const RunOptions& options);

}  // namespace vmsilo::balloond::sim
