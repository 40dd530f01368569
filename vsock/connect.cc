#include "vsock/connect.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// After sys/socket.h, which it needs and does not include.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "vsock/address.h"
#include "vsock/buffer.h"
#include "vsock/hybrid.h"
#include "vsock/ports.h"

namespace vmsilo::vsock {
namespace {

// What an error number of connect() says about the guest.
absl::Status ConnectError(int error, absl::string_view name) {
  const std::string text =
      absl::StrCat("connect ", name, ": ", strerror(error));
  switch (error) {
    // AF_VSOCK: no guest with this CID, or no transport at all.
    case ENODEV:
    case EAFNOSUPPORT:
    case ESOCKTNOSUPPORT:
    case EADDRNOTAVAIL:
    case EHOSTUNREACH:
    case ENETUNREACH:
    // AF_UNIX: no file, or nobody behind it.
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
    case EPIPE:
    case EAGAIN:
    case EINTR:
      return absl::UnavailableError(text);
    case EACCES:
    case EPERM:
    case ELOOP:
      return absl::PermissionDeniedError(text);
    default:
      return absl::ErrnoToStatus(error, absl::StrCat("connect ", name));
  }
}

absl::Status BindPrivileged(int fd) {
  // From a random place downwards and around, so that connections that are
  // made at the same time rarely meet.
  uint32_t start = 0;
  if (getrandom(&start, sizeof(start), GRND_NONBLOCK) !=
      static_cast<ssize_t>(sizeof(start))) {
    start = static_cast<uint32_t>(getpid());
  }
  constexpr uint32_t kPorts = kFirstUnprivilegedPort - 1;  // not port 0
  for (uint32_t i = 0; i < kPorts; ++i) {
    sockaddr_vm address = {};
    address.svm_family = AF_VSOCK;
    address.svm_cid = VMADDR_CID_ANY;
    address.svm_port = 1 + (start + kPorts - i) % kPorts;
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) == 0) {
      return absl::OkStatus();
    }
    if (errno == EACCES || errno == EPERM) {
      return absl::PermissionDeniedError(
          "bind a vsock port below 1024: needs CAP_NET_BIND_SERVICE");
    }
    if (errno != EADDRINUSE) return ErrnoStatus("bind a vsock port below 1024");
  }
  return absl::UnavailableError("all vsock ports below 1024 are in use");
}

absl::StatusOr<UniqueFd> OpenSocketFile(const std::string& path,
                                        absl::string_view name) {
  // The monitor owns the file's directory. Were the file a link, it could make
  // us speak to a socket that is open to us and not to it.
  UniqueFd file(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file.is_valid()) return ConnectError(errno, name);
  struct stat info = {};
  if (fstat(file.get(), &info) != 0) return ErrnoStatus("stat a socket");
  if (!S_ISSOCK(info.st_mode)) {
    return absl::PermissionDeniedError(
        absl::StrCat("connect ", name, ": not a socket"));
  }
  return file;
}

}  // namespace

absl::StatusOr<PendingConnection> PendingConnection::Start(
    const Address& address, SourcePort source_port) {
  const std::string name = FormatAddress(address);
  if (const auto* kernel = std::get_if<KernelAddress>(&address)) {
    UniqueFd fd(
        socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.is_valid()) return ConnectError(errno, name);
    VMSILO_RETURN_IF_ERROR(SetBuffer(fd.get()));
    if (source_port == SourcePort::kPrivileged) {
      VMSILO_RETURN_IF_ERROR(BindPrivileged(fd.get()));
    }
    sockaddr_vm peer = {};
    peer.svm_family = AF_VSOCK;
    peer.svm_cid = kernel->cid;
    peer.svm_port = kernel->port;
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer),
                sizeof(peer)) != 0 &&
        errno != EINPROGRESS) {
      return ConnectError(errno, name);
    }
    return PendingConnection(std::move(fd), Step::kConnect, name);
  }

  const auto& hybrid = std::get<HybridAddress>(address);
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd file,
                          OpenSocketFile(hybrid.path, name));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_valid()) return ErrnoStatus("create a socket");
  sockaddr_un peer = {};
  peer.sun_family = AF_UNIX;
  const std::string link = absl::StrCat("/proc/self/fd/", file.get());
  memcpy(peer.sun_path, link.data(), link.size());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer),
              sizeof(peer)) != 0) {
    // A file that nobody listens on was left behind by a VM that is gone.
    return ConnectError(errno == ECONNREFUSED ? ENOENT : errno, name);
  }
  const std::string line = ConnectLine(hybrid.port);
  const ssize_t sent = send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
  if (sent < 0) return ConnectError(errno, name);
  if (static_cast<size_t>(sent) != line.size()) {
    return absl::UnavailableError(
        absl::StrCat("connect ", name, ": could not send the request"));
  }
  return PendingConnection(std::move(fd), Step::kAnswer, name);
}

uint32_t PendingConnection::events() const {
  return step_ == Step::kConnect ? EPOLLOUT : EPOLLIN;
}

absl::StatusOr<bool> PendingConnection::Advance() {
  switch (step_) {
    case Step::kConnect: {
      int error = 0;
      socklen_t size = sizeof(error);
      if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return ErrnoStatus("ask for a socket's error");
      }
      if (error != 0) return ConnectError(error, name_);
      step_ = Step::kDone;
      return true;
    }
    case Step::kAnswer:
      return ReadAnswer();
    case Step::kDone:
      break;
  }
  return true;
}

absl::StatusOr<bool> PendingConnection::ReadAnswer() {
  for (;;) {
    // Look before taking: what follows the answer belongs to the guest's
    // stream, and must still be in the socket when a relay starts on it.
    char buffer[kMaxReplyBytes];
    const ssize_t seen = recv(fd_.get(), buffer, sizeof(buffer), MSG_PEEK);
    if (seen < 0) {
      if (errno == EAGAIN) return false;
      if (errno == EINTR) continue;
      return ConnectError(errno, name_);
    }
    if (seen == 0) {
      return absl::UnavailableError(
          absl::StrCat("connect ", name_, ": nobody listens on the port"));
    }
    absl::StatusOr<ReplyReader::Progress> progress =
        reply_.Read(absl::string_view(buffer, static_cast<size_t>(seen)));
    if (!progress.ok()) {
      return Annotate(progress.status(), absl::StrCat("connect ", name_));
    }
    if (recv(fd_.get(), buffer, progress->consumed, 0) !=
        static_cast<ssize_t>(progress->consumed)) {
      return ErrnoStatus("read what was seen");
    }
    if (progress->is_done) {
      step_ = Step::kDone;
      return true;
    }
  }
}

}  // namespace vmsilo::vsock
