#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace vmsilo::vsock {

// What a vsock socket takes from its peer before it is read: four times what
// the command protocol ever has under way, so that it is never full. The
// default, 256 KiB, is just as much as that.
inline constexpr uint64_t kBufferBytes = uint64_t{1024} * 1024;

// For a listener, before it listens, or a socket, before it connects.
absl::Status SetBuffer(int fd);

}  // namespace vmsilo::vsock
