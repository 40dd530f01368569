#pragma once

#include "absl/status/status.h"
#include "balloond/sim/program.h"

namespace vmsilo::balloond::sim {

// Does what the command line says.
absl::Status RunCommand(const Flags& flags);

}  // namespace vmsilo::balloond::sim
