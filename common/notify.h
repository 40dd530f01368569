#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace vmsilo {

// Messages to the service manager (man 3 sd_notify). Without one they do
// nothing, and a lost message is not worth failing for.
void NotifyReady();
void NotifyStopping();
// One line for `systemctl status`.
void NotifyStatus(absl::string_view text);

// Has the service manager keep a duplicate of `fd`, under `name`, and hand it
// to the next process of this unit, should this one end without the unit being
// stopped (FileDescriptorStoreMax=). It keeps one that has hung up, too, until
// it is told to forget it.
void StoreFd(int fd, absl::string_view name);
void ForgetStoredFd(absl::string_view name);

// A descriptor that the service manager handed over, from a socket unit or
// from its store, close-on-exec.
struct InheritedFd {
  UniqueFd fd;
  std::string name;  // FileDescriptorName=, or "unknown"
};

// All of them, once: the environment variables are removed.
absl::StatusOr<std::vector<InheritedFd>> TakeInheritedFds();

// OK if `fd` is a Unix socket of `type` that listens or does not, as wanted;
// FailedPrecondition, naming `name`, otherwise.
absl::Status CheckUnixSocket(int fd, int type, bool is_listening,
                             absl::string_view name);

}  // namespace vmsilo
