#include "command/channel.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::command {
namespace {

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("command protocol: ", what));
}

}  // namespace

Channel::Channel(Side side) : side_(side) { Send(Hello{}); }

void Channel::Consume(size_t bytes) {
  queue_start_ += bytes;
  if (queue_start_ == queue_.size()) {
    queue_.clear();
    queue_start_ = 0;
  } else if (queue_start_ >= kMaxQueuedBytes) {
    // A peer that always leaves something over must not make this grow.
    queue_.erase(0, queue_start_);
    queue_start_ = 0;
  }
}

absl::Status Channel::ReceiveHello(const Hello& hello) {
  const uint16_t version = std::min(kVersion, hello.max_version);
  if (version < std::max(kMinVersion, hello.min_version)) {
    return absl::FailedPreconditionError(
        absl::StrCat("no protocol version in common: the peer speaks ",
                     hello.min_version, " to ", hello.max_version,
                     ", this side ", kMinVersion, " to ", kVersion));
  }
  version_ = version;
  for (StreamState& stream : streams_) stream.credit = hello.window;
  return absl::OkStatus();
}

size_t Channel::Capacity(Stream stream) const {
  const StreamState& state = streams_[static_cast<size_t>(stream)];
  if (!is_sender(stream) || state.has_ended) return 0;
  const size_t queued = queue_.size() - queue_start_;
  const size_t room = queued < kMaxQueuedBytes ? kMaxQueuedBytes - queued : 0;
  return std::min({static_cast<size_t>(state.credit), room, kMaxDataBytes});
}

void Channel::SendData(Stream stream, absl::string_view bytes) {
  streams_[static_cast<size_t>(stream)].credit -=
      static_cast<uint32_t>(bytes.size());
  Send(Data{.stream = stream, .bytes = bytes});
}

void Channel::SendEnd(Stream stream) {
  StreamState& state = streams_[static_cast<size_t>(stream)];
  if (state.has_ended) return;
  state.has_ended = true;
  Send(End{.stream = stream});
}

absl::Status Channel::ReceiveData(const Data& data) {
  StreamState& state = streams_[static_cast<size_t>(data.stream)];
  if (is_sender(data.stream)) return Bad("data in the wrong direction");
  if (state.has_ended) return Bad("data after the end of its stream");
  if (data.bytes.size() >
      kDefaultWindow - state.unconsumed - state.unreported) {
    return Bad("more data than was offered to take");
  }
  state.unconsumed += static_cast<uint32_t>(data.bytes.size());
  return absl::OkStatus();
}

absl::Status Channel::ReceiveEnd(const End& end) {
  StreamState& state = streams_[static_cast<size_t>(end.stream)];
  if (is_sender(end.stream)) return Bad("END in the wrong direction");
  if (state.has_ended) return Bad("END twice");
  state.has_ended = true;
  return absl::OkStatus();
}

absl::Status Channel::ReceiveCredit(const Credit& credit) {
  StreamState& state = streams_[static_cast<size_t>(credit.stream)];
  if (!is_sender(credit.stream)) return Bad("CREDIT in the wrong direction");
  if (credit.bytes > kMaxWindow - state.credit) return Bad("too much CREDIT");
  state.credit += credit.bytes;
  return absl::OkStatus();
}

void Channel::Consumed(Stream stream, size_t bytes) {
  StreamState& state = streams_[static_cast<size_t>(stream)];
  const uint32_t taken =
      std::min(static_cast<uint32_t>(bytes), state.unconsumed);
  state.unconsumed -= taken;
  state.unreported += taken;
  if (state.has_ended || state.unreported < kDefaultWindow / kCreditParts) {
    return;
  }
  Send(Credit{.stream = stream, .bytes = state.unreported});
  state.unreported = 0;
}

}  // namespace vmsilo::command
