#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::proxy {

// What one direction holds at most: a pipe or a buffer of this size. It is what
// Linux lets an unprivileged user have sixteen of, and twice what a system call
// moves at best.
inline constexpr size_t kRelayBytes = size_t{256} * 1024;

// A guest that takes nothing for so long, of what a client left behind that is
// gone, will not take it any more.
inline constexpr absl::Duration kStuckAfter = absl::Seconds(5);

// Passes bytes between two connected stream sockets, both ways, with half-close
// and in bounded memory, until both directions have ended. It looks at none of
// them. Without traffic it does not wake up.
class Relay {
 public:
  // How it ended.
  enum class Outcome {
    kDone,  // both directions to their ends, or the client is gone
    // The guest's side broke the connection, or ended it with bytes of the
    // client on their way: over a hybrid socket a guest that vanishes looks
    // like one that has closed.
    kGuestBrokeOff
  };
  using Done = std::function<absl::Status(Outcome)>;

  // How bytes get from one socket to the other.
  enum class Means {
    kSplice,  // through a pipe, uncopied where the kernel can
    // Through a buffer. Into AF_VSOCK, Linux before 6.5 splices page by page:
    // a packet to the guest and a wake-up of it for each 4 KiB.
    kCopy,
  };

  // Takes both sockets, which must be non-blocking. `done` is called once, from
  // the loop; it may destroy the relay.
  static absl::StatusOr<std::unique_ptr<Relay>> Create(EventLoop* loop,
                                                       UniqueFd client,
                                                       UniqueFd guest,
                                                       Means means, Done done);

  // Bytes passed on so far.
  uint64_t bytes_from_client() const { return directions_[kFromClient].total; }
  uint64_t bytes_from_guest() const { return directions_[kFromGuest].total; }

 private:
  // Index of a socket, and of the direction that reads from it.
  enum : size_t { kFromClient = 0, kFromGuest = 1 };

  struct Direction {
    UniqueFd pipe_read;
    UniqueFd pipe_write;
    std::unique_ptr<char[]> buffer;  // instead of the pipe
    size_t start = 0;                // of the held bytes in `buffer`
    size_t held = 0;                 // bytes in pipe or buffer
    uint64_t total = 0;
    bool has_ended = false;    // the end of the input was read
    bool is_finished = false;  // passed on, or nobody is there to pass it to
  };

  enum class Step { kProgress, kBlocked, kBroken };

  Relay(EventLoop* loop, UniqueFd client, UniqueFd guest, Done done);

  absl::Status OnEvents(size_t socket, uint32_t events);
  void Abandon(size_t from);
  absl::Status OnStuckTimer();
  absl::Status Finish();
  // Moves what can be moved without waiting.
  void Pump(size_t from);
  Step Fill(size_t from);
  Step Drain(size_t from);
  absl::Status UpdateInterest(size_t socket);

  EventLoop* loop_;
  Done done_;
  std::array<UniqueFd, 2> sockets_;
  std::array<Direction, 2> directions_;
  std::array<uint32_t, 2> interest_ = {0, 0};
  Outcome outcome_ = Outcome::kDone;
  bool is_client_gone_ = false;  // and does not miss what is not delivered
  uint64_t bytes_at_timer_ = 0;
  std::array<Source, 2> sources_;
  Source stuck_timer_;
};

}  // namespace vmsilo::proxy
