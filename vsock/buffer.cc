#include "vsock/buffer.h"

#include <sys/socket.h>

// After sys/socket.h, which it needs and does not include.
#include <linux/vm_sockets.h>

#include "absl/status/status.h"
#include "common/status.h"

namespace vmsilo::vsock {

absl::Status SetBuffer(int fd) {
  // The maximum first: it bounds the size.
  for (const int option :
       {SO_VM_SOCKETS_BUFFER_MAX_SIZE, SO_VM_SOCKETS_BUFFER_SIZE}) {
    if (setsockopt(fd, AF_VSOCK, option, &kBufferBytes, sizeof(kBufferBytes)) !=
        0) {
      return ErrnoStatus("set the size of a vsock buffer");
    }
  }
  return absl::OkStatus();
}

}  // namespace vmsilo::vsock
