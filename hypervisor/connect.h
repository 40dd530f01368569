#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace vmsilo::hypervisor {

// Connects to the socket at `path`, where a less privileged user may have
// write access to the directory: no component is followed if it is a symbolic
// link, and what is connected to is the very file that was looked at, so that
// nobody can send us to another service of the host in between. `type` is
// SOCK_STREAM or SOCK_SEQPACKET; non-blocking, close-on-exec.
//
// NotFound: no such file. Unavailable: nobody listens. ResourceExhausted: the
// listener's queue is full; try again. FailedPrecondition: a symbolic link, or
// not a socket, or one of another type. PermissionDenied.
absl::StatusOr<UniqueFd> ConnectControlSocket(const std::string& path,
                                              int type);

// The process that listens at the other end of `connection`: the one that
// called listen().
absl::StatusOr<pid_t> PeerProcess(int connection);

// Whether the process that listens at the other end of `connection` belongs to
// the same control group as `pid`: a hypervisor that was taken over could have
// put another service's socket in the place of its own. FailedPrecondition if
// not.
absl::Status CheckPeerCgroup(int connection, pid_t pid);

// The same with the systemd unit that the process is to belong to.
absl::Status CheckPeerUnit(int connection, absl::string_view unit);

// Whether a process with this /proc/PID/cgroup belongs to the system's unit of
// that name, and not to one of the same name of a user's.
bool IsCgroupOfUnit(absl::string_view cgroup, absl::string_view unit);

}  // namespace vmsilo::hypervisor
