#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"
#include "vsock/connect.h"

namespace vmsilo::vsock {

// A socket of a guest that listens on `port`, for every CID that reaches this
// machine: non-blocking and close-on-exec. NotFound if there is no AF_VSOCK.
absl::StatusOr<UniqueFd> Listen(uint32_t port);

// OK if the peer of a connected AF_VSOCK socket has the CID `cid` and, where
// `source_port` asks for it, a port below 1024. PermissionDenied, with the
// peer's numbers, otherwise.
absl::Status CheckPeer(int socket, uint32_t cid, SourcePort source_port);

}  // namespace vmsilo::vsock
