#pragma once

#include "unitgen/context.h"

namespace vmsilo::unitgen {

// systemd-networkd's files for bridges and TAPs, if the configuration wants
// them.
void AddNetworkd(Context* context);

}  // namespace vmsilo::unitgen
