#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "command/channel.h"
#include "command/frame.h"

namespace vmsilo::command {

// A detached command runs; nothing more is heard of it.
struct Detached {
  uint32_t pid = 0;
  friend bool operator==(const Detached&, const Detached&) = default;
};

// How a command ended, or why it did not begin.
using Outcome = std::variant<Exit, Error, Detached>;

// What a shell would report: the command's status, 128 + its signal, 127 not
// found, 126 not executable, 125 for every other failure, 0 for detached.
int ExitStatus(const Outcome& outcome);

// The environment that a host passes on: TERM, COLORTERM, LANG and LC_*.
// `name_and_value` is an entry of environ.
bool MayPassOn(absl::string_view name_and_value);

// One command, seen from the host: a state machine between the bytes of a
// connection and the streams of a person. Does no I/O.
//
// The owner passes on what it reads (Receive), writes what pending() has, and
// stops reading its own standard input while StdinCapacity() is 0. START is
// sent as soon as the agent's HELLO came; before that nothing of the person's
// input is taken.
class ClientSession {
 public:
  // Called from within Receive(). A handler may call the session's methods,
  // but not Receive().
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void OnStarted(uint32_t pid) = 0;
    // The owner calls Consumed() when the bytes are written, not before: that
    // is what slows down a guest that is faster than the terminal.
    virtual void OnOutput(Stream stream, absl::string_view bytes) = 0;
    virtual void OnOutputEnd(Stream stream) = 0;
  };

  // `start` must be valid (Validate()). `handler` outlives the session.
  ClientSession(Start start, Handler* handler);

  // Bytes from the connection. InvalidArgument if the peer broke the protocol:
  // the connection is of no use any more. Bytes after the outcome are an
  // error as well.
  absl::Status Receive(absl::string_view bytes);

  // The connection ended. OK if there is an outcome; Unavailable if not, with
  // words about how far it came. `has_hello()` tells the two cases apart in
  // which nobody and somebody answered.
  absl::Status ReceiveEnd() const;

  bool has_hello() const { return state_ != State::kHello; }
  const std::optional<Outcome>& outcome() const { return outcome_; }

  // Bytes to write to the connection.
  absl::string_view pending() const { return channel_.pending(); }
  void Consume(size_t bytes) { channel_.Consume(bytes); }

  // How many bytes of standard input may be passed to SendStdin() now.
  size_t StdinCapacity() const;
  void SendStdin(absl::string_view bytes);
  void SendStdinEnd();

  // Before START is sent the size is put into it; a signal is dropped, and
  // false returned: there is nothing to signal yet.
  void SendWindowSize(const WindowSize& size);
  bool SendSignal(uint8_t number);

  void Consumed(Stream stream, size_t bytes) {
    channel_.Consumed(stream, bytes);
  }

 private:
  enum class State { kHello, kStarting, kRunning, kFinished };

  absl::Status ReceiveFrame(const Frame& frame);
  bool is_live() const {
    return state_ == State::kStarting || state_ == State::kRunning;
  }

  Channel channel_{Channel::Side::kClient};
  Decoder decoder_;
  Start start_;
  Handler* handler_;
  State state_ = State::kHello;
  absl::Status failure_;
  std::optional<Outcome> outcome_;
};

}  // namespace vmsilo::command
