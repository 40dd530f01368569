#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "command/channel.h"
#include "command/frame.h"

namespace vmsilo::command {

// One command, seen from the guest: the counterpart of ClientSession. Does no
// I/O.
class ServerSession {
 public:
  // Called from within Receive(). A handler may call the session's methods,
  // but not Receive().
  class Handler {
   public:
    virtual ~Handler() = default;
    // Once, before anything else. To be answered, now or later, by
    // SendStarted() or Fail().
    virtual void OnStart(const Start& start) = 0;
    // The owner calls Consumed() when the bytes are written or dropped.
    virtual void OnStdin(absl::string_view bytes) = 0;
    virtual void OnStdinEnd() = 0;
    virtual void OnWindowSize(const WindowSize& size) = 0;
    virtual void OnSignal(uint8_t number) = 0;
  };

  explicit ServerSession(Handler* handler) : handler_(handler) {}

  // Bytes from the connection. On an error (InvalidArgument the client broke
  // the protocol, FailedPrecondition no version in common) an ERROR frame is
  // queued and the session is_finished().
  absl::Status Receive(absl::string_view bytes);

  // Bytes to write to the connection.
  absl::string_view pending() const { return channel_.pending(); }
  void Consume(size_t bytes) { channel_.Consume(bytes); }

  bool has_start() const {
    return state_ != State::kHello && state_ != State::kStart;
  }
  // The last frame is queued: send what is pending, then close.
  bool is_finished() const { return state_ == State::kFinished; }

  void SendStarted(uint32_t pid);
  size_t OutputCapacity(Stream stream) const {
    return state_ == State::kRunning ? channel_.Capacity(stream) : 0;
  }
  void SendOutput(Stream stream, absl::string_view bytes) {
    channel_.SendData(stream, bytes);
  }
  void SendOutputEnd(Stream stream) { channel_.SendEnd(stream); }

  // Queue the last frame; what follows is ignored.
  void Finish(const Exit& exit);
  void Fail(ErrorCode code, absl::string_view message);

  void Consumed(size_t bytes) { channel_.Consumed(Stream::kStdin, bytes); }

 private:
  enum class State { kHello, kStart, kStarting, kRunning, kFinished };

  absl::Status ReceiveFrame(const Frame& frame);

  Channel channel_{Channel::Side::kServer};
  Decoder decoder_;
  Handler* handler_;
  State state_ = State::kHello;
  bool is_detached_ = false;
  bool is_tty_ = false;
  absl::Status failure_;
};

}  // namespace vmsilo::command
