#include "agent/connection.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/launch.h"
#include "agent/plan.h"
#include "command/frame.h"
#include "command/limits.h"
#include "common/escape.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::agent {
namespace {

using command::ErrorCode;
using command::Stream;

// Nothing but the end of a descriptor, and that once: EPOLLHUP and EPOLLERR
// cannot be masked, and without EPOLLET they would be reported for ever.
constexpr uint32_t kOnlyHangUp = EPOLLET;

// So many reads of one stream before others get their turn.
constexpr int kReadsPerTurn = 4;

// What a terminal takes for the end of its input (VEOF of man 3 termios).
constexpr absl::string_view kEndOfFile("\x04");

// All that a client may have under way: frames that a read brings whole need
// not be put together.
constexpr size_t kReadBytes = command::kDefaultWindow;

constexpr Stream kStreamOf[] = {Stream::kStdout, Stream::kStderr};

}  // namespace

Connection::Connection(EventLoop* loop, UniqueFd socket,
                       const Settings* settings, Owner* owner)
    : loop_(loop),
      socket_(std::move(socket)),
      settings_(settings),
      owner_(owner),
      session_(this) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Create(
    EventLoop* loop, UniqueFd socket, const Settings* settings, Owner* owner) {
  std::unique_ptr<Connection> connection(
      new Connection(loop, std::move(socket), settings, owner));
  Connection* self = connection.get();
  const absl::Status status = self->Greet();
  if (!status.ok()) {
    self->session_.Fail(ErrorCode::kBusy, status.message());
    self->FlushSocket();
    return status;
  }
  return connection;
}

absl::Status Connection::Greet() {
  VMSILO_ASSIGN_OR_RETURN(timer_, loop_->AddTimer(kHandshakeTimeout, [this] {
    return Survive(OnTimer());
  }));
  FlushSocket();
  if (is_client_gone_) {
    return absl::UnavailableError("the client has left already");
  }
  return Watch();
}

absl::Status Connection::Survive(absl::Status status) {
  // After success this object may be gone.
  if (status.ok()) return status;
  LOG(WARNING) << status.message() << ", connection dropped";
  if (pid_ != 0 && !is_detached_) {
    (void)kill(-pid_, SIGKILL);  // fails if it has just ended
  }
  session_.Fail(ErrorCode::kInternal, status.message());
  FlushSocket();
  owner_->OnClosed(this);
  return absl::OkStatus();
}

absl::Status Connection::OnSocket(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadSocket();
  return Update();
}

void Connection::ReadSocket() {
  char buffer[kReadBytes];
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t size = recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      OnClientGone();
      return;
    }
    const absl::Status status =
        session_.Receive(absl::string_view(buffer, static_cast<size_t>(size)));
    if (!status.ok()) {
      LOG(WARNING) << status.message() << ", connection dropped";
      HangUp();
      return;
    }
    if (static_cast<size_t>(size) < sizeof(buffer)) return;
  }
}

void Connection::OnClientGone() {
  is_client_gone_ = true;
  socket_source_.Reset();
  socket_.Reset();
  HangUp();
}

void Connection::HangUp() {
  if (is_detached_ || pid_ == 0 || is_hung_up_) return;
  is_hung_up_ = true;
  Signal(SIGHUP);
  Signal(SIGCONT);  // a stopped one would not hear the other
  CloseInput();
  // Its output stays open, and unread: were it closed, a last word would kill
  // the command before it has cleaned up.
  for (Output& output : outputs_) {
    output.source.Reset();
    output.is_open = false;
  }
  // A terminal is hung up by this.
  input_source_.Reset();
  input_.Reset();
}

void Connection::DropStreams() {
  CloseInput();
  input_source_.Reset();
  input_.Reset();
  for (Output& output : outputs_) {
    output.source.Reset();
    output.fd.Reset();
    output.is_open = false;
  }
}

void Connection::OnStart(const command::Start& start) {
  is_detached_ = start.detach;
  is_terminal_ = start.tty;
  absl::StatusOr<User> user = settings_->user();
  if (!user.ok()) {
    session_.Fail(ErrorCode::kCannotStart, user.status().message());
    return;
  }
  plan_ = MakePlan(start, *user, settings_->runtime_directory(*user),
                   settings_->environment);
  const Streams streams = is_terminal_   ? Streams::kTerminal
                          : is_detached_ ? settings_->detached_streams
                                         : Streams::kPipes;
  absl::StatusOr<Launched> launched =
      Launch(plan_, *user, streams, start.window_size, settings_->files);
  if (!launched.ok()) {
    LOG(WARNING) << launched.status().message();
    session_.Fail(ErrorCode::kCannotStart, launched.status().message());
    return;
  }
  pid_ = launched->pid;
  input_ = std::move(launched->input);
  terminal_ = std::move(launched->terminal);
  result_ = std::move(launched->result);
  outputs_[kOut].fd = std::move(launched->output);
  outputs_[kErr].fd = std::move(launched->errors);
  outputs_[kOut].is_open = !is_detached_;
  outputs_[kErr].is_open = !is_detached_ && !is_terminal_;
  timer_.Reset();
  VLOG(1) << "started " << Quoted(plan_.arguments[0]) << " as pid " << pid_;
  owner_->OnChild(this, pid_);
}

absl::Status Connection::OnResult() {
  TakeResult();
  return Update();
}

void Connection::TakeResult() {
  const std::optional<command::Error> error = ReadResult(result_.get(), plan_);
  result_source_.Reset();
  result_.Reset();
  terminal_.Reset();
  if (error.has_value()) {
    session_.Fail(static_cast<ErrorCode>(error->code), error->message);
    DropStreams();
  } else {
    session_.SendStarted(static_cast<uint32_t>(pid_));
  }
}

void Connection::OnStdin(absl::string_view bytes) {
  if (!input_.is_valid()) {
    session_.Consumed(bytes.size());
    return;
  }
  if (stdin_.empty()) {
    // What the command takes at once is never stored.
    const ssize_t size = write(input_.get(), bytes.data(), bytes.size());
    if (size > 0) {
      session_.Consumed(static_cast<size_t>(size));
      bytes.remove_prefix(static_cast<size_t>(size));
      if (bytes.empty()) return;
    }
  }
  absl::StrAppend(&stdin_, bytes);
  WriteInput();
}

void Connection::OnStdinEnd() {
  has_stdin_end_ = true;
  if (is_terminal_ && input_.is_valid()) absl::StrAppend(&stdin_, kEndOfFile);
  WriteInput();
}

void Connection::WriteInput() {
  if (!input_.is_valid()) return;
  while (stdin_start_ < stdin_.size()) {
    const ssize_t size = write(input_.get(), stdin_.data() + stdin_start_,
                               stdin_.size() - stdin_start_);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        // Keep the bytes that are left, not the room of those that are gone.
        stdin_.erase(0, std::exchange(stdin_start_, 0));
        return;
      }
      CloseInput();  // nobody reads it any more
      return;
    }
    stdin_start_ += static_cast<size_t>(size);
    session_.Consumed(static_cast<size_t>(size));
  }
  stdin_.clear();
  stdin_start_ = 0;
  if (has_stdin_end_ && !is_terminal_) CloseInput();
}

void Connection::CloseInput() {
  session_.Consumed(stdin_.size() - stdin_start_);
  stdin_.clear();
  stdin_start_ = 0;
  // A terminal's output comes from the same descriptor.
  if (is_terminal_) return;
  input_source_.Reset();
  input_.Reset();
}

void Connection::OnWindowSize(const command::WindowSize& size) {
  if (input_.is_valid()) SetWindowSize(input_.get(), size);
}

void Connection::OnSignal(uint8_t number) { Signal(number); }

void Connection::Signal(int number) {
  // The group's number is the command's as long as it is not reaped; after
  // that it may be somebody else's.
  if (is_detached_ || pid_ == 0) return;
  pid_t group = pid_;
  if (is_terminal_ && input_.is_valid()) {
    const pid_t foreground = tcgetpgrp(input_.get());
    if (foreground > 1) group = foreground;
  }
  // Fails when it has just ended.
  (void)kill(-group, number);
}

absl::Status Connection::OnInput(uint32_t events) {
  if (is_terminal_) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadOutput(kOut);
    if ((events & EPOLLOUT) != 0) WriteInput();
  } else if ((events & EPOLLERR) != 0) {
    CloseInput();
  } else {
    WriteInput();
  }
  return Update();
}

absl::Status Connection::OnOutput(size_t which) {
  ReadOutput(which);
  return Update();
}

void Connection::ReadOutput(size_t which) {
  char buffer[command::kMaxDataBytes];
  Output& output = outputs_[which];
  const Stream stream = kStreamOf[which];
  for (int i = 0; i < kReadsPerTurn && output.is_open; ++i) {
    if (is_last_output_ && output.budget == 0) {
      CloseOutput(which);
      return;
    }
    size_t wanted = std::min(session_.OutputCapacity(stream), sizeof(buffer));
    if (is_last_output_) wanted = std::min(wanted, output.budget);
    if (wanted == 0) return;
    const ssize_t size = read(OutputFd(which), buffer, wanted);
    if (size > 0) {
      session_.SendOutput(stream,
                          absl::string_view(buffer, static_cast<size_t>(size)));
      if (is_last_output_) output.budget -= static_cast<size_t>(size);
      // What was there is taken; the event loop tells of more.
      if (static_cast<size_t>(size) < wanted && !is_last_output_) return;
      continue;
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN && !is_last_output_) return;
    // The end; a terminal says it with EIO.
    CloseOutput(which);
  }
}

void Connection::CloseOutput(size_t which) {
  Output& output = outputs_[which];
  output.is_open = false;
  output.source.Reset();
  output.fd.Reset();
  session_.SendOutputEnd(kStreamOf[which]);
}

absl::Status Connection::OnChildExit(const command::Exit& exit) {
  return Survive(AfterChildExit(exit));
}

absl::Status Connection::AfterChildExit(const command::Exit& exit) {
  if (result_.is_valid()) TakeResult();
  pid_ = 0;
  exit_ = exit;
  kill_timer_.Reset();
  if (!is_detached_ && (outputs_[kOut].is_open || outputs_[kErr].is_open)) {
    VMSILO_ASSIGN_OR_RETURN(timer_, loop_->AddTimer(kOutputGrace, [this] {
      return Survive(OnTimer());
    }));
  }
  return Update();
}

absl::Status Connection::OnTimer() {
  if (is_shut_) {
    OnClientGone();
  } else if (!session_.has_start()) {
    session_.Fail(ErrorCode::kTimeout, "no command was asked for in time");
  } else {
    is_last_output_ = true;
    for (const size_t which : {kOut, kErr}) {
      outputs_[which].budget = kLastOutputBytes;
      ReadOutput(which);
    }
  }
  return Update();
}

absl::Status Connection::OnKillTimer() {
  VLOG(1) << "pid " << pid_ << " ignored the hang-up, killing it";
  if (pid_ != 0) (void)kill(-pid_, SIGKILL);  // fails if it has just ended
  return absl::OkStatus();
}

void Connection::ShutDown() {
  if (!is_client_gone_) {
    session_.Fail(ErrorCode::kShuttingDown, "the agent is being stopped");
    FlushSocket();
  }
  HangUp();
}

void Connection::FlushSocket() {
  while (!is_client_gone_ && !session_.pending().empty()) {
    const absl::string_view pending = session_.pending();
    const ssize_t size =
        send(socket_.get(), pending.data(), pending.size(), MSG_NOSIGNAL);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) OnClientGone();
      return;
    }
    session_.Consume(static_cast<size_t>(size));
  }
}

absl::Status Connection::Update() {
  if (exit_.has_value() && !outputs_[kOut].is_open && !outputs_[kErr].is_open) {
    session_.Finish(*exit_);
  }
  FlushSocket();
  if (is_hung_up_ && pid_ != 0 && !kill_timer_.is_active()) {
    VMSILO_ASSIGN_OR_RETURN(kill_timer_, loop_->AddTimer(kKillGrace, [this] {
      return Survive(OnKillTimer());
    }));
  }
  if (is_client_gone_) {
    // A command that is to be killed, or whose start is to be reported, keeps
    // the connection until it is reaped.
    if (is_detached_ || pid_ == 0) {
      owner_->OnClosed(this);
      return absl::OkStatus();
    }
    return Watch();
  }
  if (session_.is_finished() && session_.pending().empty() && !is_shut_) {
    // Closing at once could throw away what the client has not read, because
    // of what we have not read. So it is the client that closes first.
    (void)shutdown(socket_.get(), SHUT_WR);
    is_shut_ = true;
    VMSILO_ASSIGN_OR_RETURN(timer_, loop_->AddTimer(kLinger, [this] {
      return Survive(OnTimer());
    }));
  }
  return Watch();
}

absl::Status Connection::Watch() {
  if (!is_client_gone_) {
    VMSILO_RETURN_IF_ERROR(
        Watch(socket_.get(),
              EPOLLIN | (session_.pending().empty() ? 0u : uint32_t{EPOLLOUT}),
              &socket_source_, &socket_interest_,
              [this](uint32_t events) { return Survive(OnSocket(events)); }));
  }
  if (result_.is_valid() && !result_source_.is_active()) {
    VMSILO_ASSIGN_OR_RETURN(
        result_source_, loop_->AddIo(result_.get(), EPOLLIN, [this](uint32_t) {
          return Survive(OnResult());
        }));
  }
  const auto wants_output = [this](size_t which) {
    return outputs_[which].is_open &&
           session_.OutputCapacity(kStreamOf[which]) > 0;
  };
  if (input_.is_valid()) {
    uint32_t events = 0;
    if (!stdin_.empty()) events |= EPOLLOUT;
    if (is_terminal_ && wants_output(kOut)) events |= EPOLLIN;
    VMSILO_RETURN_IF_ERROR(
        Watch(input_.get(), events == 0 ? kOnlyHangUp : events, &input_source_,
              &input_interest_,
              [this](uint32_t ready) { return Survive(OnInput(ready)); }));
  }
  for (const size_t which : {kOut, kErr}) {
    Output& output = outputs_[which];
    if (!output.fd.is_valid() || !output.is_open) continue;
    VMSILO_RETURN_IF_ERROR(Watch(
        output.fd.get(), wants_output(which) ? uint32_t{EPOLLIN} : kOnlyHangUp,
        &output.source, &output.interest,
        [this, which](uint32_t) { return Survive(OnOutput(which)); }));
  }
  return absl::OkStatus();
}

absl::Status Connection::Watch(int fd, uint32_t events, Source* source,
                               uint32_t* interest,
                               EventLoop::IoHandler handler) {
  if (!source->is_active()) {
    VMSILO_ASSIGN_OR_RETURN(*source,
                            loop_->AddIo(fd, events, std::move(handler)));
  } else if (*interest != events) {
    VMSILO_RETURN_IF_ERROR(source->SetEvents(events));
  }
  *interest = events;
  return absl::OkStatus();
}

}  // namespace vmsilo::agent
