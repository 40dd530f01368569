#pragma once

#include <cstdint>

namespace vmsilo::vsock {

// Ports that a guest listens on. They are part of what a guest image is built
// with: a number that is in use here never changes its meaning.
inline constexpr uint32_t kCommandPort = 5000;  // vmsilo-agent
inline constexpr uint32_t kTrayPort = 5001;     // vmsilo-tray-guest

// The host's CID, as a guest sees it (VMADDR_CID_HOST in man 7 vsock).
inline constexpr uint32_t kHostCid = 2;

// Ports below this one can be bound only with CAP_NET_BIND_SERVICE. Anybody on
// the host can connect to a guest, so that CID 2 says little about who calls;
// a source port below this one says that it is a service of the host.
inline constexpr uint32_t kFirstUnprivilegedPort = 1024;

}  // namespace vmsilo::vsock
