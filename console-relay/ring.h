#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {

// The scrollback: a screen of history at least, and no more memory than a
// person would want one console to cost.
inline constexpr Bytes kMinScrollback = KiB(4);
inline constexpr Bytes kMaxScrollback = MiB(256);

// What one call moves at most from the guest. Its socket's default buffer has
// 208 KiB; a quarter of that keeps the terminal busy between two calls.
inline constexpr size_t kMaxReceiveBytes = size_t{64} * 1024;

// What the guest has written, the last bytes of it, and how far the terminal
// has come in it. A byte's position is the number of bytes before it, counted
// from when the ring was made.
//
// All of this lives in shared memory of a descriptor that outlives the process
// (the service manager keeps it), and a process that is killed at any
// instruction leaves it exact: no byte counted twice or forgotten. For that,
// it is the kernel that writes the result of a transfer into the shared
// memory, as a part of the system call: recvmmsg(2) stores how much came,
// sendfile(2) how far it got. Both happen before the call returns to a
// process, also to one that is about to be killed.
//
// One process at a time, single-threaded.
class Ring {
 public:
  // Rounded up to whole pages.
  static absl::StatusOr<Ring> Create(Bytes scrollback);

  // One that an earlier process left. InvalidArgument if `fd` is none, or of
  // another version of this program.
  static absl::StatusOr<Ring> Adopt(UniqueFd fd);

  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&&) = delete;
  ~Ring();

  // Borrowed.
  int fd() const { return fd_.get(); }

  // Tells this ring's positions from those of others.
  uint64_t epoch() const;

  uint64_t capacity() const { return capacity_; }
  uint64_t end() const;  // the position behind the last byte
  uint64_t begin() const;

  // Takes what a stream socket has, without waiting; up to kMaxReceiveBytes.
  // How much; 0 at the end of the stream. Unavailable when there is nothing,
  // or the peer is gone.
  absl::StatusOr<size_t> ReceiveFrom(int socket);

  // The bytes from `position`, at most `max`, in one or two pieces that are
  // good until the ring changes. Nothing for a position that is not in
  // [begin(), end()).
  std::array<absl::string_view, 2> Peek(uint64_t position, size_t max) const;

  // The terminal's position: what is before it was given to the terminal, or
  // is lost to it.
  uint64_t terminal() const;
  // Bytes that fell out of the ring before the terminal took them.
  uint64_t terminal_lost() const;
  // Counts what has fallen out since the last call as lost; how much.
  uint64_t SkipLost();
  // Puts the terminal's position at the first byte there is: somebody is to
  // see the scrollback.
  void RewindTerminal();
  // Gives the terminal what it takes without waiting, up to `max`. How much;
  // Unavailable when it takes nothing now.
  absl::StatusOr<size_t> SendToTerminal(int terminal_fd, size_t max);

  // How far a log file has come, and how long it was then: what it has gained
  // since tells a successor what a process wrote and did not live to count.
  struct LogMark {
    uint64_t position = 0;
    uint64_t file_size = 0;
  };
  LogMark log_mark() const;
  void SetLogMark(const LogMark& mark);

  // Counters that outlive the process as well.
  struct Counters {
    uint64_t to_guest = 0;       // bytes typed and delivered
    uint64_t to_guest_lost = 0;  // typed while there was no guest
    uint64_t log_lost = 0;       // not written to the log
    uint64_t guest_connections = 0;
    uint64_t starts = 0;  // of this program with this ring
  };
  Counters& counters();
  const Counters& counters() const;

 private:
  struct State;

  Ring(UniqueFd fd, State* state, uint64_t capacity)
      : fd_(std::move(fd)), state_(state), capacity_(capacity) {}

  static absl::StatusOr<Ring> Map(UniqueFd fd, uint64_t file_size);
  // Changes the terminal's position, all of it in one moment.
  void SetTerminal(uint64_t position, uint64_t lost);
  // Takes over what a process that was killed had received but not counted.
  void Recover();
  char* data() const;
  uint64_t FileOffset(uint64_t position) const;

  UniqueFd fd_;
  State* state_ = nullptr;
  uint64_t capacity_ = 0;
};

}  // namespace vmsilo::console_relay
