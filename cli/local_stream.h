#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

// The program's own standard input and output on an event loop. They may be a
// terminal, a pipe, a socket, a file or closed, and they are shared with other
// processes: O_NONBLOCK on them would be seen by the shell, so it is set on a
// description of our own where the kernel lets us have one.
namespace vmsilo::cli {

// Reads standard input while somebody has room for it.
class LocalInput {
 public:
  // `capacity` says how many bytes may be taken now, `take` gets them, `end`
  // is called once, at the end of the input.
  struct Handler {
    std::function<size_t()> capacity;
    std::function<void(absl::string_view)> take;
    std::function<void()> end;
  };

  LocalInput(EventLoop* loop, Handler handler)
      : loop_(loop), handler_(std::move(handler)) {}
  LocalInput(const LocalInput&) = delete;
  LocalInput& operator=(const LocalInput&) = delete;

  // Borrows `fd`. One that is not open counts as empty.
  absl::Status Open(int fd);

  // Reads, or listens for input, as the capacity allows. Called after whatever
  // may have changed it.
  absl::Status Update();

 private:
  absl::Status Read();
  void End();

  EventLoop* loop_;
  Handler handler_;
  UniqueFd fd_;
  bool is_pollable_ = false;  // files and /dev/null are always ready
  bool is_ended_ = true;      // until Open()
  bool is_listening_ = false;
  Source source_;
};

// Writes standard output or error, and tells when bytes have gone out.
class LocalOutput {
 public:
  struct Handler {
    // So many of the bytes that Write() was told as `weight` are out.
    std::function<void(size_t)> written;
    // Nobody reads any more (EPIPE), or writing failed with another errno.
    // Called once; from then on everything is discarded.
    std::function<void(int error)> failed;
  };

  LocalOutput(EventLoop* loop, Handler handler)
      : loop_(loop), handler_(std::move(handler)) {}
  LocalOutput(const LocalOutput&) = delete;
  LocalOutput& operator=(const LocalOutput&) = delete;

  // Borrows `fd`. What is written to one that is not open is discarded.
  absl::Status Open(int fd);

  // Writes what goes out at once and queues the rest; together the bytes count
  // for `weight`.
  absl::Status Write(absl::string_view bytes, size_t weight);

  bool is_empty() const { return queue_.empty(); }

 private:
  enum class Kind { kClosed, kFile, kOwnDescription, kSocket, kBlocking };

  struct Chunk {
    std::string bytes;
    size_t weight;
  };

  absl::Status Flush();
  ssize_t WriteSome(absl::string_view bytes) const;

  EventLoop* loop_;
  Handler handler_;
  UniqueFd fd_;
  Kind kind_ = Kind::kClosed;
  std::deque<Chunk> queue_;
  size_t offset_ = 0;  // into the first chunk
  Source source_;      // only while the descriptor is full
};

}  // namespace vmsilo::cli
