#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "command/frame.h"
#include "command/limits.h"

namespace vmsilo::command {

// What both ends of a command channel have in common: the bytes that wait to
// be sent, and the credit of the streams in both directions. Pure: the session
// classes are built on it, and shells on those.
class Channel {
 public:
  enum class Side { kClient, kServer };

  explicit Channel(Side side);

  // Bytes for the peer, in order. Consume() drops what has been sent.
  absl::string_view pending() const {
    return absl::string_view(queue_).substr(queue_start_);
  }
  void Consume(size_t bytes);

  void Send(const Frame& frame) { AppendFrame(frame, &queue_); }

  // Picks the version and takes the peer's window. FailedPrecondition if there
  // is no version in common.
  absl::Status ReceiveHello(const Hello& hello);
  uint16_t version() const { return version_; }

  // How many bytes of `stream` may be sent now: 0 until the peer's HELLO, when
  // its window is used up, when too much is queued, or after SendEnd().
  size_t Capacity(Stream stream) const;

  // Queues 1 to Capacity() bytes.
  void SendData(Stream stream, absl::string_view bytes);

  // Queues the end of a stream, once; further calls do nothing.
  void SendEnd(Stream stream);

  // InvalidArgument if the frame does not fit the state of its stream: not in
  // this direction, more than was offered, or after its end.
  absl::Status ReceiveData(const Data& data);
  absl::Status ReceiveEnd(const End& end);
  absl::Status ReceiveCredit(const Credit& credit);

  // Whether the stream's end has been received, or queued where it is ours.
  bool has_ended(Stream stream) const {
    return streams_[static_cast<size_t>(stream)].has_ended;
  }

  // The application is done with `bytes` of what ReceiveData() took in. Queues
  // CREDIT from time to time.
  void Consumed(Stream stream, size_t bytes);

  // Bytes taken in that Consumed() was not told of yet.
  size_t unconsumed(Stream stream) const {
    return streams_[static_cast<size_t>(stream)].unconsumed;
  }

 private:
  struct StreamState {
    // Towards the peer.
    uint32_t credit = 0;
    // From the peer. What may still come is the window without these two.
    uint32_t unconsumed = 0;
    uint32_t unreported = 0;  // consumed, no CREDIT sent yet
    // Of whichever direction the stream has.
    bool has_ended = false;
  };

  bool is_sender(Stream stream) const {
    return (stream == Stream::kStdin) == (side_ == Side::kClient);
  }

  Side side_;
  uint16_t version_ = 0;
  std::array<StreamState, kStreams> streams_;
  std::string queue_;
  size_t queue_start_ = 0;
};

}  // namespace vmsilo::command
