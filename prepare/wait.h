#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/event_loop.h"

namespace vmsilo::prepare {

struct WaitOptions {
  std::string path;
  int type = 0;  // SOCK_STREAM or SOCK_SEQPACKET
  absl::Duration timeout;
  // The process that is to listen: when it ends there is nothing to wait for.
  std::optional<pid_t> pid;
};

// Returns as soon as the socket accepts a connection, which is closed again.
// DeadlineExceeded after the timeout, Unavailable if the process ends.
//
// The kernel tells when files appear (inotify), but not when somebody begins
// to listen on one that exists: only between the two a timer is used.
absl::Status WaitForSocket(EventLoop* loop, const WaitOptions& options);

}  // namespace vmsilo::prepare
