#include "common/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo {
namespace {

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueFd> NewUnixSocket(const std::string& path, int type) {
  VMSILO_RETURN_IF_ERROR(CheckSocketPath(path));
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_valid()) return ErrnoStatus("create a socket");
  return fd;
}

// 0 or an error number.
int Bind(int fd, const std::string& path) {
  const sockaddr_un address = UnixAddress(path);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) == 0
             ? 0
             : errno;
}

int Connect(int fd, const std::string& path) {
  const sockaddr_un address = UnixAddress(path);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address),
                 sizeof(address)) == 0
             ? 0
             : errno;
}

absl::string_view KindOfFile(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symbolic link";
    case S_IFIFO:
      return "FIFO";
    default:
      return "device";
  }
}

// OK if `path` is a socket without a listener. A refused connection alone
// proves nothing: any other file refuses as well.
absl::Status CheckIsStale(const std::string& path, int type) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) {
    // Gone meanwhile is as good.
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(absl::StrCat("examine ", Quoted(path)));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("listen on ", Quoted(path), ": there is a ",
                     KindOfFile(info.st_mode), "; remove it first"));
  }
  const UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.is_valid() && Connect(fd.get(), path) == ECONNREFUSED) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(
      absl::StrCat("listen on ", Quoted(path), ": already in use"));
}

}  // namespace

absl::Status CheckSocketPath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(path), " is not a path for a socket"));
  }
  if (path.size() > kMaxSocketPathBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket path ", Quoted(path), " has ", path.size(),
                     " bytes; a socket's path may have ", kMaxSocketPathBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, mode_t mode,
                                    int type, int backlog) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, NewUnixSocket(path, type));
  int error = Bind(fd.get(), path);
  if (error == EADDRINUSE) {
    VMSILO_RETURN_IF_ERROR(CheckIsStale(path, type));
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return ErrnoStatus(absl::StrCat("remove stale ", Quoted(path)));
    }
    error = Bind(fd.get(), path);
  }
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("bind ", Quoted(path)));
  }
  // Between bind() and listen() nobody can connect, so the mode counts from
  // the first connection on, whatever the umask is.
  if (chmod(path.c_str(), mode) != 0) {
    return ErrnoStatus(absl::StrCat("chmod ", Quoted(path)));
  }
  if (listen(fd.get(), backlog) != 0) {
    return ErrnoStatus(absl::StrCat("listen on ", Quoted(path)));
  }
  return fd;
}

absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path, int type) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, NewUnixSocket(path, type));
  switch (const int error = Connect(fd.get(), path)) {
    case 0:
      return fd;
    case EAGAIN:
      // To a caller that is a peer that is not there yet, not a call to wait
      // on this descriptor.
      return absl::UnavailableError(absl::StrCat(
          "connect ", Quoted(path), ": the listener's queue is full"));
    default:
      return ErrnoStatus(error, absl::StrCat("connect ", Quoted(path)));
  }
}

absl::StatusOr<UniqueFd> Accept(int listener) {
  while (true) {
    const int fd =
        accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) return UniqueFd(fd);
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) return absl::UnavailableError("no connection waits");
    return ErrnoStatus("accept a connection");
  }
}

absl::StatusOr<SocketPair> MakeSocketPair(int type, int flags) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | flags, 0, fds) != 0) {
    return ErrnoStatus("create a socket pair");
  }
  return SocketPair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace vmsilo
