#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace vmsilo::hypervisor::qemu {

// The whole command line of a silo under QEMU, the program first. Options are
// those that QEMU 7.2 to 11.1 understand alike, or chosen by
// `config.qemu.version`. Sockets are where config/layout.h says.
std::vector<std::string> CommandLine(const config::Config& config,
                                     const config::Vm& vm);

}  // namespace vmsilo::hypervisor::qemu
