#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace vmsilo::hypervisor::crosvm {

// The whole command line of a silo under crosvm, the program first, for
// `crosvm run` as of 2026. Sockets are where config/layout.h says.
std::vector<std::string> CommandLine(const config::Config& config,
                                     const config::Vm& vm);

// The back end of the silo's GPU: `crosvm device gpu`. `vm.gpu` is set.
std::vector<std::string> GpuCommandLine(const config::Config& config,
                                        const config::Vm& vm);

// What `crosvm --extended-status run` exits with when the guest reboots.
inline constexpr int kExitGuestReset = 32;

}  // namespace vmsilo::hypervisor::crosvm
