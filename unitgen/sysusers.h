#pragma once

#include "unitgen/context.h"

namespace vmsilo::unitgen {

// A user for each silo's hypervisor, with a number that stays, and the groups
// that own the devices. Without this file (in generator mode) systemd gives
// each hypervisor a number for as long as it runs.
void AddSysusers(Context* context);

}  // namespace vmsilo::unitgen
