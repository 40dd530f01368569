#pragma once

#include "config/config.h"
#include "unitgen/context.h"

namespace vmsilo::unitgen {

// What a silo's hypervisor is connected to, or is driven by: console relay,
// file sharing, sound, GPU, USB devices.
void AddHelperUnits(const config::Vm& vm, Context* context);

}  // namespace vmsilo::unitgen
