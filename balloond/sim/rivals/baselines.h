#pragma once

#include <memory>

#include "balloond/controller.h"
#include "balloond/sim/policy.h"

namespace vmsilo::balloond::sim {

// Every VM keeps all it was configured with.
std::unique_ptr<Controller> MakeNoPolicy();

// What there is, less a twentieth for the host, in equal parts, once and
// again only when a VM comes or goes.
std::unique_ptr<Controller> MakeStaticSplit();

// Knows the next six seconds, and gives each guest what it will need in them
// and a little more. What foresight with a real balloon is worth.
std::unique_ptr<Controller> MakeOracle(const PolicyContext& context);

}  // namespace vmsilo::balloond::sim
