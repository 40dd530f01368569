#include "vsock/listen.h"

#include <sys/socket.h>

// After sys/socket.h, which it needs and does not include.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "vsock/buffer.h"
#include "vsock/ports.h"

namespace vmsilo::vsock {
namespace {

// Commands that are started by a desktop come in bursts of a few.
constexpr int kBacklog = 128;

}  // namespace

absl::StatusOr<UniqueFd> Listen(uint32_t port) {
  UniqueFd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_valid()) {
    if (errno == EAFNOSUPPORT) {
      return absl::NotFoundError(
          "this kernel has no AF_VSOCK: load vmw_vsock_virtio_transport");
    }
    return ErrnoStatus("create a vsock socket");
  }
  VMSILO_RETURN_IF_ERROR(SetBuffer(fd.get()));
  sockaddr_vm address = {};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
           sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("bind vsock port ", port));
  }
  if (listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus(absl::StrCat("listen on vsock port ", port));
  }
  return fd;
}

absl::Status CheckPeer(int socket, uint32_t cid, SourcePort source_port) {
  sockaddr_vm peer = {};
  socklen_t size = sizeof(peer);
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    return ErrnoStatus("ask for a vsock peer");
  }
  if (peer.svm_family != AF_VSOCK || size < sizeof(peer)) {
    return absl::PermissionDeniedError("the peer is not a vsock peer");
  }
  if (peer.svm_cid != cid) {
    return absl::PermissionDeniedError(
        absl::StrCat("only CID ", cid, " may ask, not CID ", peer.svm_cid));
  }
  if (source_port == SourcePort::kPrivileged &&
      peer.svm_port >= kFirstUnprivilegedPort) {
    return absl::PermissionDeniedError(
        absl::StrCat("port ", peer.svm_port, " of CID ", cid, " is not below ",
                     kFirstUnprivilegedPort, ": not a service of the host"));
  }
  return absl::OkStatus();
}

}  // namespace vmsilo::vsock
