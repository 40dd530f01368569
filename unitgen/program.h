#pragma once

#include "common/options.h"
#include "unitgen/commands.h"

namespace vmsilo::unitgen {

// The table of vmsilo-unitgen's commands and options. `flags` must outlive it.
Program MakeProgram(Flags* flags);

}  // namespace vmsilo::unitgen
