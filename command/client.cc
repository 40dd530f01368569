#include "command/client.h"

#include <optional>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"

namespace vmsilo::command {
namespace {

absl::Status Unexpected(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("command protocol: unexpected ", what));
}

}  // namespace

int ExitStatus(const Outcome& outcome) {
  if (const auto* exit = std::get_if<Exit>(&outcome)) {
    return exit->how == Exit::How::kExited ? exit->value : 128 + exit->value;
  }
  if (const auto* error = std::get_if<Error>(&outcome)) {
    switch (static_cast<ErrorCode>(error->code)) {
      case ErrorCode::kCommandNotFound:
        return 127;
      case ErrorCode::kNotExecutable:
        return 126;
      default:
        return 125;
    }
  }
  return 0;
}

bool MayPassOn(absl::string_view name_and_value) {
  const size_t equals = name_and_value.find('=');
  if (equals == absl::string_view::npos) return false;
  const absl::string_view name = name_and_value.substr(0, equals);
  return name == "TERM" || name == "COLORTERM" || name == "LANG" ||
         (absl::StartsWith(name, "LC_") && name.size() > 3);
}

ClientSession::ClientSession(Start start, Handler* handler)
    : start_(std::move(start)), handler_(handler) {}

absl::Status ClientSession::Receive(absl::string_view bytes) {
  if (!failure_.ok()) return failure_;
  for (;;) {
    absl::StatusOr<std::optional<Frame>> frame = decoder_.Next(&bytes);
    if (!frame.ok()) return failure_ = frame.status();
    if (!frame->has_value()) return absl::OkStatus();
    failure_ = ReceiveFrame(**frame);
    if (!failure_.ok()) return failure_;
  }
}

absl::Status ClientSession::ReceiveFrame(const Frame& frame) {
  if (state_ == State::kFinished) return Unexpected("frame after the last");
  if (const auto* error = std::get_if<Error>(&frame)) {
    // Also before HELLO: a proxy that reaches nobody says so with it.
    outcome_ = *error;
    state_ = State::kFinished;
    return absl::OkStatus();
  }
  if (state_ == State::kHello) {
    const auto* hello = std::get_if<Hello>(&frame);
    if (hello == nullptr) return Unexpected("frame before HELLO");
    VMSILO_RETURN_IF_ERROR(channel_.ReceiveHello(*hello));
    channel_.Send(start_);
    state_ = State::kStarting;
    return absl::OkStatus();
  }
  // The credit of standard input may be given back before STARTED is on its
  // way; everything else comes after it.
  if (const auto* credit = std::get_if<Credit>(&frame)) {
    return channel_.ReceiveCredit(*credit);
  }
  if (state_ == State::kStarting) {
    const auto* started = std::get_if<Started>(&frame);
    if (started == nullptr) return Unexpected("frame before STARTED");
    if (start_.detach) {
      outcome_ = Detached{.pid = started->pid};
      state_ = State::kFinished;
    } else {
      state_ = State::kRunning;
    }
    handler_->OnStarted(started->pid);
    return absl::OkStatus();
  }
  if (const auto* data = std::get_if<Data>(&frame)) {
    VMSILO_RETURN_IF_ERROR(channel_.ReceiveData(*data));
    handler_->OnOutput(data->stream, data->bytes);
    return absl::OkStatus();
  }
  if (const auto* end = std::get_if<End>(&frame)) {
    VMSILO_RETURN_IF_ERROR(channel_.ReceiveEnd(*end));
    handler_->OnOutputEnd(end->stream);
    return absl::OkStatus();
  }
  if (const auto* exit = std::get_if<Exit>(&frame)) {
    // What has not been said to be all of the output may be cut short.
    if (!channel_.has_ended(Stream::kStdout) ||
        (!start_.tty && !channel_.has_ended(Stream::kStderr))) {
      return Unexpected("EXIT before the end of the output");
    }
    outcome_ = *exit;
    state_ = State::kFinished;
    return absl::OkStatus();
  }
  return Unexpected("frame from an agent");
}

absl::Status ClientSession::ReceiveEnd() const {
  if (outcome_.has_value()) return absl::OkStatus();
  if (!failure_.ok()) return failure_;
  switch (state_) {
    case State::kHello:
      return absl::UnavailableError(
          "the connection ended before the agent answered");
    case State::kStarting:
      return absl::UnavailableError(
          "the connection ended before the command was started");
    default:
      return absl::UnavailableError(
          "the connection ended while the command was running");
  }
}

size_t ClientSession::StdinCapacity() const {
  return is_live() && !start_.detach ? channel_.Capacity(Stream::kStdin) : 0;
}

void ClientSession::SendStdin(absl::string_view bytes) {
  channel_.SendData(Stream::kStdin, bytes);
}

void ClientSession::SendStdinEnd() {
  if (is_live() && !start_.detach) channel_.SendEnd(Stream::kStdin);
}

void ClientSession::SendWindowSize(const WindowSize& size) {
  if (!start_.tty) return;
  if (state_ == State::kHello) {
    start_.window_size = size;
  } else if (is_live()) {
    channel_.Send(size);
  }
}

bool ClientSession::SendSignal(uint8_t number) {
  if (!is_live() || start_.detach || number == 0 || number > kMaxSignal) {
    return false;
  }
  channel_.Send(Signal{.number = number});
  return true;
}

}  // namespace vmsilo::command
