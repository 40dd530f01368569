#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace vmsilo {

// The longest path of a Unix socket, without the NUL that ends it: sun_path
// has 108 bytes (man 7 unix).
inline constexpr size_t kMaxSocketPathBytes = 107;

// InvalidArgument for a path that is empty, too long or has a NUL in it.
absl::Status CheckSocketPath(const std::string& path);

// A listening Unix socket, non-blocking and close-on-exec. A socket file that
// nobody listens on any more is replaced; one with a listener is left alone
// and AlreadyExists returned. The file gets `mode` before anybody can connect.
absl::StatusOr<UniqueFd> ListenUnix(const std::string& path, mode_t mode,
                                    int type = SOCK_STREAM,
                                    int backlog = SOMAXCONN);

// A connected Unix socket, non-blocking and close-on-exec. NotFound when the
// file is absent, Unavailable when nobody listens or the queue is full.
absl::StatusOr<UniqueFd> ConnectUnix(const std::string& path,
                                     int type = SOCK_STREAM);

// The next connection of a non-blocking listener, non-blocking and
// close-on-exec. Unavailable when there is none (any more).
absl::StatusOr<UniqueFd> Accept(int listener);

// Two connected Unix sockets, close-on-exec, non-blocking as `flags` says
// (SOCK_NONBLOCK or 0).
struct SocketPair {
  UniqueFd first;
  UniqueFd second;
};
absl::StatusOr<SocketPair> MakeSocketPair(int type, int flags);

}  // namespace vmsilo
