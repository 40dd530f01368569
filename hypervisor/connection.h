#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::hypervisor {

// One read. A packet must fit whole: crosvm's longest answer has less than a
// kilobyte. It lies on the stack, where it costs only what is used of it.
inline constexpr size_t kReceiveBytes = 64 * 1024;

// A connection to a control socket: bytes out, bytes in, and its end. Nobody
// sends descriptors that we asked for; whatever comes is closed.
class Connection {
 public:
  // Bytes that have arrived: any piece of a stream, or one whole packet; none
  // when the other side has closed. DataLoss for a packet that is longer than
  // kReceiveBytes. After the last two nothing more comes. May destroy the
  // connection.
  using Handler = std::function<void(absl::StatusOr<absl::string_view>)>;

  // `fd` is a connected socket, SOCK_STREAM or SOCK_SEQPACKET, non-blocking.
  static absl::StatusOr<std::unique_ptr<Connection>> Create(EventLoop* loop,
                                                            UniqueFd fd,
                                                            Handler handler);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends `bytes`, as one packet where there are packets: now what the socket
  // takes, the rest when it takes more. A failure is not reported here but
  // shows when receiving, after what the other side has said last.
  void Send(std::string bytes);

 private:
  Connection(UniqueFd fd, Handler handler);

  void OnIo(uint32_t events);
  // False when there is no room now.
  bool SendSome(absl::string_view* bytes);
  void SendQueued();
  void UpdateEvents();
  void Receive();

  UniqueFd fd_;
  Handler handler_;
  std::list<std::string> unsent_;
  bool wants_room_ = false;
  bool was_reset_ = false;
  Source source_;
};

}  // namespace vmsilo::hypervisor
