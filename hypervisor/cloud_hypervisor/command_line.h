#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace vmsilo::hypervisor::cloud_hypervisor {

// The whole command line of a silo under Cloud Hypervisor, the program first,
// for `config.cloud_hypervisor.version`. Sockets are where config/layout.h
// says.
std::vector<std::string> CommandLine(const config::Config& config,
                                     const config::Vm& vm);

}  // namespace vmsilo::hypervisor::cloud_hypervisor
