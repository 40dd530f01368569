#include "command/server.h"

#include <optional>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

absl::Status ServerSession::Receive(absl::string_view bytes) {
  if (!failure_.ok()) return failure_;
  // What a client sends when it cannot know yet that the command is gone.
  while (state_ != State::kFinished) {
    absl::StatusOr<std::optional<Frame>> frame = decoder_.Next(&bytes);
    if (frame.ok() && !frame->has_value()) break;
    failure_ = frame.ok() ? ReceiveFrame(**frame) : frame.status();
    if (!failure_.ok()) {
      Fail(absl::IsFailedPrecondition(failure_) ? ErrorCode::kNoCommonVersion
                                                : ErrorCode::kProtocol,
           failure_.message());
      return failure_;
    }
  }
  return absl::OkStatus();
}

absl::Status ServerSession::ReceiveFrame(const Frame& frame) {
  if (state_ == State::kHello) {
    const auto* hello = std::get_if<Hello>(&frame);
    if (hello == nullptr) return Unexpected("frame before HELLO");
    VMSILO_RETURN_IF_ERROR(channel_.ReceiveHello(*hello));
    state_ = State::kStart;
    return absl::OkStatus();
  }
  if (state_ == State::kStart) {
    const auto* start = std::get_if<Start>(&frame);
    if (start == nullptr) return Unexpected("frame before START");
    state_ = State::kStarting;
    is_detached_ = start->detach;
    is_tty_ = start->tty;
    handler_->OnStart(*start);
    return absl::OkStatus();
  }
  if (is_detached_) return Unexpected("frame for a detached command");
  if (const auto* credit = std::get_if<Credit>(&frame)) {
    return channel_.ReceiveCredit(*credit);
  }
  if (const auto* data = std::get_if<Data>(&frame)) {
    VMSILO_RETURN_IF_ERROR(channel_.ReceiveData(*data));
    handler_->OnStdin(data->bytes);
    return absl::OkStatus();
  }
  if (const auto* end = std::get_if<End>(&frame)) {
    VMSILO_RETURN_IF_ERROR(channel_.ReceiveEnd(*end));
    handler_->OnStdinEnd();
    return absl::OkStatus();
  }
  if (const auto* size = std::get_if<WindowSize>(&frame)) {
    if (!is_tty_) return Unexpected("WINDOW_SIZE without a terminal");
    handler_->OnWindowSize(*size);
    return absl::OkStatus();
  }
  if (const auto* signal = std::get_if<Signal>(&frame)) {
    handler_->OnSignal(signal->number);
    return absl::OkStatus();
  }
  return Unexpected("frame from a client");
}

void ServerSession::SendStarted(uint32_t pid) {
  if (state_ != State::kStarting) return;
  channel_.Send(Started{.pid = pid});
  state_ = is_detached_ ? State::kFinished : State::kRunning;
}

void ServerSession::Finish(const Exit& exit) {
  if (state_ != State::kRunning) return;
  channel_.SendEnd(Stream::kStdout);
  if (!is_tty_) channel_.SendEnd(Stream::kStderr);
  channel_.Send(exit);
  state_ = State::kFinished;
}

void ServerSession::Fail(ErrorCode code, absl::string_view message) {
  if (state_ == State::kFinished) return;
  channel_.Send(MakeError(code, message));
  state_ = State::kFinished;
}

}  // namespace vmsilo::command
