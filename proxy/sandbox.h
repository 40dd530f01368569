#pragma once

#include <string>

#include "absl/status/status.h"

namespace vmsilo::proxy {

// Before the guest is reached: what connecting takes, and relaying.
// `listen_path` is the socket file to remove at the end, or empty.
absl::Status ConfineToConnecting(const std::string& listen_path);

// For the one connection of an inherited socket, when the guest is reached
// and before the first byte is passed on: no new sockets, no files, and no
// capabilities.
absl::Status ConfineToRelaying();

}  // namespace vmsilo::proxy
