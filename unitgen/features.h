#pragma once

#include <string>
#include <vector>

#include "config/config.h"

// Which parts a silo has, decided once. What its hypervisor cannot do it does
// not have, whatever the configuration says.
namespace vmsilo::unitgen {

bool HasConsoleRelay(const config::Vm& vm);
// The relay listens and the hypervisor connects; else it is the other way
// round.
bool ConsoleRelayListens(const config::Vm& vm);
bool HasGpu(const config::Vm& vm);
bool HasWaylandSeccontext(const config::Vm& vm);
// Needs the kernel's vsock.
bool HasTray(const config::Vm& vm);
// The hypervisor has a USB controller that devices can be given to.
bool CanUsb(const config::Vm& vm);
bool HasUsbAttach(const config::Vm& vm);
// The host reaches the guest's ports through a Unix socket of the hypervisor.
bool HasHybridVsock(const config::Vm& vm);
// The hypervisor has a user of its own.
bool HasOwnUser(const config::Config& config, const config::Vm& vm);

// Why the memory daemon must leave the silo's balloon alone; empty if it need
// not.
std::string BalloonExclusion(const config::Config& config,
                             const config::Vm& vm);

// Sockets of other services that the hypervisor connects to.
std::vector<std::string> BackendSockets(const config::Config& config,
                                        const config::Vm& vm);

}  // namespace vmsilo::unitgen
