#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::vsock {

// The handshake of a hybrid vsock socket, as Cloud Hypervisor's docs/vsock.md
// describes it: the client sends `CONNECT <port>\n`, the monitor answers
// `OK <number>\n`, and from then on the connection carries the guest's bytes.
// There is no negative answer: the monitor hangs up or says nothing.

// The answers seen are up to 14 bytes long; more is room for a longer number.
inline constexpr size_t kMaxReplyBytes = 32;

// The request for `port`, to be sent in one piece: some monitors lose bytes
// that arrive together with it.
std::string ConnectLine(uint32_t port);

// Recognises the answer, however it is cut into pieces.
class ReplyReader {
 public:
  struct Progress {
    size_t consumed = 0;   // how many bytes belong to the answer
    bool is_done = false;  // the rest, and all that follows, is the guest's
  };

  // Looks at the next bytes. InvalidArgument if they cannot be an answer, with
  // the bytes escaped in the message; the reader is of no use afterwards.
  absl::StatusOr<Progress> Read(absl::string_view bytes);

 private:
  std::string line_;
};

}  // namespace vmsilo::vsock
