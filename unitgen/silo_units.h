#pragma once

#include "config/config.h"
#include "unitgen/context.h"

namespace vmsilo::unitgen {

// What every silo has around its hypervisor, whichever that is: the socket
// that commands come through, the service of each connection, and the runtime
// directory.
void AddSiloUnits(const config::Vm& vm, Context* context);

}  // namespace vmsilo::unitgen
