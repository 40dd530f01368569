#include "hypervisor/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::hypervisor {
namespace {

// Deep control groups have some hundred bytes.
constexpr size_t kMaxCgroupBytes = 16 * 1024;

absl::StatusOr<std::string> CgroupOf(pid_t pid) {
  return ReadFile(absl::StrCat("/proc/", pid, "/cgroup"), kMaxCgroupBytes);
}

}  // namespace

absl::StatusOr<UniqueFd> ConnectControlSocket(const std::string& path,
                                              int type) {
  const std::string what = absl::StrCat("connect ", Quoted(path));
  absl::StatusOr<UniqueFd> node = OpenNoSymlinks(path, O_PATH);
  if (!node.ok()) {
    // Several errors share ELOOP's status code.
    if (!absl::EndsWith(node.status().message(), strerror(ELOOP))) {
      return node.status();
    }
    return absl::FailedPreconditionError(
        absl::StrCat(what,
                     ": a symbolic link is not followed here; name the "
                     "socket itself"));
  }
  struct stat info = {};
  if (fstat(node->get(), &info) != 0) return ErrnoStatus(what);
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, ": this is not a socket"));
  }
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_valid()) return ErrnoStatus("create a socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string alias = absl::StrCat("/proc/self/fd/", node->get());
  memcpy(address.sun_path, alias.data(), alias.size());
  int result = 0;
  do {
    result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                     sizeof(address));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return fd;
  switch (errno) {
    case EAGAIN:
      return absl::ResourceExhaustedError(
          absl::StrCat(what, ": the listener's queue is full"));
    case EPROTOTYPE:
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": a socket of another type"));
    default:
      return ErrnoStatus(what);
  }
}

absl::StatusOr<pid_t> PeerProcess(int connection) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoStatus("ask for the listener's process");
  }
  return peer.pid;
}

absl::Status CheckPeerCgroup(int connection, pid_t pid) {
  VMSILO_ASSIGN_OR_RETURN(const pid_t peer, PeerProcess(connection));
  if (peer == pid) return absl::OkStatus();
  VMSILO_ASSIGN_OR_RETURN(const std::string ours, CgroupOf(pid));
  VMSILO_ASSIGN_OR_RETURN(const std::string theirs, CgroupOf(peer));
  if (ours == theirs) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the control socket belongs to process ", peer,
                   ", which is not one of process ", pid, "'s unit"));
}

absl::Status CheckPeerUnit(int connection, absl::string_view unit) {
  VMSILO_ASSIGN_OR_RETURN(const pid_t peer, PeerProcess(connection));
  VMSILO_ASSIGN_OR_RETURN(const std::string cgroup, CgroupOf(peer));
  if (IsCgroupOfUnit(cgroup, unit)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the control socket belongs to process ", peer,
                   ", which is not one of ", unit));
}

bool IsCgroupOfUnit(absl::string_view cgroup, absl::string_view unit) {
  for (const absl::string_view line : absl::StrSplit(cgroup, '\n')) {
    // NUMBER:CONTROLLERS:PATH (man 7 cgroups); systemd's own hierarchy, unified
    // or not.
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 ||
        (!parts[1].empty() && parts[1] != "name=systemd")) {
      continue;
    }
    // Units of a user's are below user@UID.service.
    for (const absl::string_view name : absl::StrSplit(parts[2], '/')) {
      if (name == unit) return true;
      if (absl::EndsWith(name, ".service")) break;
    }
  }
  return false;
}

}  // namespace vmsilo::hypervisor
