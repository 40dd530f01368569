#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"

namespace vmsilo::prepare {

struct WaitOptions {
  std::string path;
  int type = 0;  // SOCK_STREAM or SOCK_SEQPACKET
  absl::Duration timeout;
  // The process that is to listen: when it ends there is nothing to wait for.
  std::optional<pid_t> pid;
  // Only look whether it listens: for a server that serves one connection and
  // then ends, as vhost-user back ends do. It must be in the same network
  // namespace, and have bound the very same text.
  bool connects = true;
};

// The kernel's table of Unix sockets: some 100 bytes a socket, and a desktop
// has a few thousand.
inline constexpr size_t kMaxSocketTableBytes = 16 << 20;

// Whether a socket of that path listens, by the text of /proc/net/unix
// (man 5 proc_pid_net).
bool IsListening(absl::string_view table, absl::string_view path);

// Returns as soon as the socket accepts a connection, which is closed again, or
// listens. DeadlineExceeded after the timeout, Unavailable if the process ends.
//
// The kernel tells when files appear (inotify), but not when somebody begins
// to listen on one that exists: only between the two a timer is used.
absl::Status WaitForSocket(EventLoop* loop, const WaitOptions& options);

}  // namespace vmsilo::prepare
