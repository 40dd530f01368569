#include "prepare/sandbox.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cstdint>

#include "absl/status/status.h"
#include "common/sandbox.h"
#include "common/status_macros.h"

namespace vmsilo::prepare {

absl::Status ConfineToControlSockets() {
  // Looking at a socket's file and connecting to it is no access in Landlock's
  // sense; what is read are control groups of processes.
  VMSILO_RETURN_IF_ERROR(
      RestrictFiles({{.path = "/proc", .kind = PathAccess::Kind::kRead}})
          .status());
  SyscallFilter filter;
  filter.AllowRuntime();
  filter.AllowIf("control socket", "socket",
                 {{.index = 0, .value = static_cast<uint64_t>(AF_UNIX)}});
  filter.Allow("control socket",
               {"connect", "getsockopt", "sendto", "recvfrom", "recvmsg"});
  filter.Allow("the way to it", {"openat2", "fstat", "newfstatat"});
  filter.AllowIf("control groups", "openat",
                 {{.index = 2, .value = O_RDONLY, .mask = O_ACCMODE}});
  filter.Allow("files that appear",
               {"inotify_init1", "inotify_add_watch", "inotify_rm_watch"});
  filter.Allow("processes that end", {"pidfd_open"});
  return filter.Install();
}

}  // namespace vmsilo::prepare
