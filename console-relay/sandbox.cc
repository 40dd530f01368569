#include "console-relay/sandbox.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/file.h"
#include "common/sandbox.h"
#include "common/status_macros.h"

namespace vmsilo::console_relay {

absl::Status Confine(const Paths& paths) {
  std::vector<PathAccess> files = {
      {.path = paths.terminal, .kind = PathAccess::Kind::kDevice}};
  for (const std::string& path : paths.created_files) {
    files.push_back({.path = SplitPath(path).directory,
                     .kind = PathAccess::Kind::kRemoveFiles});
  }
  if (!paths.log.empty()) {
    files.push_back({.path = SplitPath(paths.log).directory,
                     .kind = PathAccess::Kind::kReadWrite});
  }
  VMSILO_RETURN_IF_ERROR(RestrictFiles(files).status());

  SyscallFilter filter;
  filter.AllowRuntime();
  filter.Allow("the guest's output", {"recvmmsg", "sendfile", "shutdown"});
  filter.Allow("input, and viewers", {"splice", "accept4", "recvfrom"});
  filter.AllowIf("input that waits", "ioctl",
                 {{.index = 1, .value = FIONREAD}});
  filter.AllowNotify();
  filter.Allow("viewers", {"sendmsg", "sendto"});
  filter.AllowIf("a hypervisor that listens", "socket",
                 {{.index = 0, .value = static_cast<uint64_t>(AF_UNIX)}});
  for (const uint64_t request :
       {uint64_t{TIOCGPTPEER}, uint64_t{TCGETS}, uint64_t{TCSETS},
        uint64_t{TCFLSH}, uint64_t{TCXONC}, uint64_t{TIOCSWINSZ},
        uint64_t{TIOCGEXCL}, uint64_t{TIOCEXCL}, uint64_t{TIOCNXCL}}) {
    filter.AllowIf("the terminal", "ioctl", {{.index = 1, .value = request}});
  }
  filter.AllowIf("the terminal", "openat",
                 {{.index = 2, .value = O_NOCTTY, .mask = O_NOCTTY}});
  filter.Allow("whether users are there", {"poll", "ppoll"});
  filter.Allow("leave no file behind",
               {"unlink", "unlinkat", "readlinkat", "fstat", "newfstatat"});
  filter.Allow("a hypervisor that listens", {"getsockopt", "connect"});
  if (!paths.log.empty()) {
    filter.Allow("the log and its rotation",
                 {"openat2", "renameat", "renameat2", "ftruncate"});
    filter.AllowIf("the log without openat2()", "openat",
                   {{.index = 2, .value = O_NOFOLLOW, .mask = O_NOFOLLOW}});
    filter.AllowIf("its directory, as well", "openat",
                   {{.index = 2, .value = O_PATH, .mask = O_PATH}});
  }
  return filter.Install();
}

}  // namespace vmsilo::console_relay
