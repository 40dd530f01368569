#include "proxy/sandbox.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/file.h"
#include "common/sandbox.h"
#include "common/status_macros.h"

namespace vmsilo::proxy {
namespace {

void AllowRelaying(SyscallFilter* filter) {
  filter->AllowRuntime();
  filter->Allow("pipes between the sockets", {"pipe2", "splice"});
  filter->AllowIf("their size", "fcntl", {{.index = 1, .value = F_SETPIPE_SZ}});
  filter->Allow("sockets that cannot splice", {"recvfrom", "sendto"});
  filter->Allow("half-close", {"shutdown"});
}

}  // namespace

absl::Status ConfineToConnecting(const std::string& listen_path) {
  std::vector<PathAccess> files;
  if (!listen_path.empty()) {
    files.push_back({.path = SplitPath(listen_path).directory,
                     .kind = PathAccess::Kind::kRemoveFiles});
  }
  // Connecting to a socket is no access to a file in Landlock's sense.
  VMSILO_RETURN_IF_ERROR(RestrictFiles(files).status());

  SyscallFilter filter;
  AllowRelaying(&filter);
  for (const int family : {AF_UNIX, AF_VSOCK}) {
    filter.AllowIf("reach the guest", "socket",
                   {{.index = 0, .value = static_cast<uint64_t>(family)}});
  }
  filter.Allow("reach the guest", {"connect", "bind", "getsockopt"});
  filter.AllowIf("room for what the guest sends", "setsockopt",
                 {{.index = 1, .value = static_cast<uint64_t>(AF_VSOCK)}});
  filter.AllowIf("look at a socket's file", "openat",
                 {{.index = 2, .value = O_PATH, .mask = O_PATH}});
  filter.Allow("look at a socket's file", {"fstat", "newfstatat"});
  if (listen_path.empty()) {
    filter.Allow("the second filter", {"prctl", "seccomp", "capset"});
  } else {
    filter.Allow("serve clients", {"accept4"});
    filter.Allow("leave no file behind", {"unlink", "unlinkat"});
    filter.AllowNotify();
  }
  return filter.Install();
}

absl::Status ConfineToRelaying() {
  absl::Status dropped = DropCapabilities();
  // A unit's own filter may refuse capset(). What is left then is the right to
  // bind a low port, and the filter below has no bind().
  if (!dropped.ok() && !absl::IsPermissionDenied(dropped)) return dropped;
  SyscallFilter filter;
  AllowRelaying(&filter);
  return filter.Install();
}

}  // namespace vmsilo::proxy
