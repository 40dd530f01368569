#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"
#include "vsock/address.h"
#include "vsock/hybrid.h"

namespace vmsilo::vsock {

// Which port of this host a connection comes from. Only AF_VSOCK has one; with
// a hybrid socket it is the file's mode that says who may connect.
enum class SourcePort {
  // One below 1024, which tells the guest that it is a service of the host.
  // Needs CAP_NET_BIND_SERVICE.
  kPrivileged,
  kAny,
};

// One attempt to reach a guest's port. It never blocks: wait for events() on
// fd(), then call Advance(). The owner limits how long it takes, because a
// guest that boots may leave an attempt without any answer.
class PendingConnection {
 public:
  // Errors, here and from Advance():
  //   NotFound          there is no such VM, or it does not run
  //   Unavailable       the VM is there, nobody in it answers on the port
  //   PermissionDenied  this process may not: the message says what it needs
  //   InvalidArgument   what answers is no hybrid vsock socket
  static absl::StatusOr<PendingConnection> Start(const Address& address,
                                                 SourcePort source_port);

  int fd() const { return fd_.get(); }
  // EPOLLIN or EPOLLOUT.
  uint32_t events() const;

  // Goes on after an event. true: connected, Take() it. No byte of the guest
  // has been read then, even if it was the first to speak.
  absl::StatusOr<bool> Advance();

  // The connected socket: non-blocking, close-on-exec.
  UniqueFd Take() { return std::move(fd_); }

 private:
  enum class Step { kConnect, kAnswer, kDone };

  PendingConnection(UniqueFd fd, Step step, std::string name)
      : fd_(std::move(fd)), step_(step), name_(std::move(name)) {}

  absl::StatusOr<bool> ReadAnswer();

  UniqueFd fd_;
  Step step_;
  std::string name_;  // of the address, for messages
  ReplyReader reply_;
};

}  // namespace vmsilo::vsock
