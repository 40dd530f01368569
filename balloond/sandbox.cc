#include "balloond/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/status_macros.h"

namespace vmsilo::balloond {

void LockMemory() {
  // What was never touched needs no room.
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
    VLOG(1) << "memory is not locked: " << strerror(errno);
  }
}

absl::Status Confine(const Paths& paths) {
  // Control sockets belong to the hypervisors' own users.
  absl::Status dropped = DropCapabilities({CAP_DAC_OVERRIDE});
  // A unit's own filter may refuse capset(); it bounds capabilities as well.
  if (!dropped.ok() && !absl::IsPermissionDenied(dropped)) return dropped;
  std::vector<PathAccess> files = {
      {.path = paths.run_dir},
      {.path = paths.state_dir, .kind = PathAccess::Kind::kReadWrite},
      // Whose the control groups of hypervisors are. What else is there of
      // other processes the kernel keeps from a process like this.
      {.path = "/proc"},
      {.path = "/sys/fs/cgroup"}};
  if (!paths.metrics_dir.empty()) {
    files.push_back(
        {.path = paths.metrics_dir, .kind = PathAccess::Kind::kReadWrite});
  }
  VMSILO_RETURN_IF_ERROR(RestrictFiles(files).status());

  SyscallFilter filter;
  filter.AllowRuntime();
  filter.AllowNotify();
  filter.Allow("looks at the host", {"pread64"});
  filter.Allow("files about silos, and control groups",
               {"openat", "openat2", "fstat", "newfstatat", "fcntl"});
  filter.Allow("silos that come and go", {"inotify_init1", "inotify_add_watch",
                                          "inotify_rm_watch", "getdents64"});
  filter.AllowIf("hypervisors", "socket",
                 {{.index = 0, .value = static_cast<uint64_t>(AF_UNIX)}});
  filter.Allow("hypervisors", {"connect", "recvmsg", "recvfrom", "sendto"});
  filter.Allow("people", {"accept4"});
  filter.Allow("wishes, metrics, and no socket left behind",
               {"renameat", "renameat2", "fchmod", "unlink", "unlinkat"});
  return filter.Install();
}

}  // namespace vmsilo::balloond
