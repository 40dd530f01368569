#pragma once

#include "config/config.h"
#include "unitgen/context.h"

namespace vmsilo::unitgen {

// The socket that commands come through, the service of each connection, the
// runtime directory and the hypervisor itself.
void AddVmUnits(const config::Vm& vm, Context* context);

}  // namespace vmsilo::unitgen
