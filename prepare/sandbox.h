#pragma once

#include "absl/status/status.h"

namespace vmsilo::prepare {

// For `wait` and `power-off`, before the first byte from a hypervisor: what is
// left are Unix sockets, looking at files on the way to them, and watching
// processes. Nothing can be executed, written or reached over a network.
// `overlay` and `home` read nothing from a peer, and need about all that there
// is for files.
absl::Status ConfineToControlSockets();

}  // namespace vmsilo::prepare
