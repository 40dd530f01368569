#pragma once

#include "config/config.h"
#include "unitgen/context.h"

namespace vmsilo::unitgen {

// The hypervisor, and what belongs to its start and stop.
void AddVmUnits(const config::Vm& vm, Context* context);

}  // namespace vmsilo::unitgen
