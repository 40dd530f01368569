#include "cli/console_session.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/escape_keys.h"
#include "cli/terminal.h"
#include "common/escape.h"
#include "common/event_loop.h"
#include "common/exit_codes.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "console/limits.h"
#include "console/message.h"

namespace vmsilo::cli {
namespace {

// A person waits for the console to come back; twice a second is soon.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(500);

// What a terminal may take to show the last of it. One that is stuck, because
// Ctrl-S was typed or the network is gone, must not keep a person who leaves.
constexpr absl::Duration kDrainTime = absl::Seconds(1);

// What may wait for the relay: a paste, while the guest takes its time.
constexpr size_t kMaxWaitingInput = size_t{64} * 1024;

}  // namespace

ConsoleSession::ConsoleSession(EventLoop* loop, Stdio stdio,
                               ConsoleOptions options)
    : loop_(loop),
      stdio_(stdio),
      options_(std::move(options)),
      role_(options_.read_only ? console::Role::kObserver
                               : console::Role::kWriter),
      takes_over_(options_.takes_over),
      keys_(options_.escape),
      in_(loop, {.capacity =
                     [this] {
                       // Without a terminal, input waits for whom it is meant.
                       const bool takes = is_terminal_ || has_guest_ == true;
                       return takes ? kMaxWaitingInput - input_.size() : 0;
                     },
                 .take = [this](absl::string_view bytes) { OnTyped(bytes); },
                 .end = [this] { has_input_ended_ = true; }}),
      out_(loop, {.written = [](size_t) {},
                  .failed = [this](int error) { OnOutputFailed(error); }}) {}

absl::Status ConsoleSession::Run() {
  absl::Status status = Prepare();
  while (status.ok() && !is_finished_) {
    status = loop_->RunOnce(absl::InfiniteDuration());
    if (status.ok()) status = Update();
  }
  Drain();
  terminal_.Leave();
  return status.ok() ? status_ : status;
}

void ConsoleSession::Drain() {
  const absl::Status before = status_;
  // An error of the loop's here would hide how the session ended.
  absl::Status status;
  bool is_late = false;
  Source timer;
  if (is_terminal_) {
    status = out_.Write(filter_.Reset(), 0);
    absl::StatusOr<Source> started = loop_->AddTimer(kDrainTime, [&is_late] {
      is_late = true;
      return absl::OkStatus();
    });
    if (!started.ok()) return;
    timer = *std::move(started);
  }
  // A signal, or a reader that has gone, ends the waiting.
  while (status.ok() && !is_late && !out_.is_empty() && status_ == before) {
    status = loop_->RunOnce(absl::InfiniteDuration());
  }
}

absl::Status ConsoleSession::Prepare() {
  is_terminal_ = isatty(stdio_.in) == 1 && isatty(stdio_.out) == 1;
  for (const int signo : {SIGTERM, SIGHUP, SIGINT, SIGQUIT}) {
    VMSILO_ASSIGN_OR_RETURN(
        Source source, loop_->AddSignal(signo, [this, signo] {
          Finish(WithExitCode(absl::CancelledError(""), 128 + signo));
          return absl::OkStatus();
        }));
    signal_sources_.push_back(std::move(source));
  }
  for (const int signo : {SIGWINCH, SIGCONT}) {
    VMSILO_ASSIGN_OR_RETURN(Source source,
                            loop_->AddSignal(signo, [this, signo] {
                              if (signo == SIGCONT) terminal_.EnterAgain();
                              SendSize();
                              return absl::OkStatus();
                            }));
    signal_sources_.push_back(std::move(source));
  }
  VMSILO_RETURN_IF_ERROR(out_.Open(stdio_.out));
  if (is_terminal_) {
    VMSILO_ASSIGN_OR_RETURN(suspend_source_, loop_->AddSignal(SIGTSTP, [this] {
      return Suspend();
    }));
    VMSILO_RETURN_IF_ERROR(terminal_.Enter(stdio_.in));
    Say("the console of silo ", options_.silo,
        options_.read_only ? ", to look at" : "",
        options_.escape.has_value()
            ? absl::StrCat("; ", keys_.NameOf('?'), " for help, ",
                           keys_.NameOf('.'), " to leave")
            : "; no escape character");
  }
  // On a terminal an observer has keys for us, too.
  if (is_terminal_ || !options_.read_only) {
    VMSILO_RETURN_IF_ERROR(in_.Open(stdio_.in));
  }
  VMSILO_RETURN_IF_ERROR(Connect());
  return Update();
}

absl::Status ConsoleSession::Connect() {
  absl::StatusOr<UniqueFd> connection =
      ConnectUnix(options_.socket, SOCK_SEQPACKET);
  if (!connection.ok()) {
    if (!absl::IsNotFound(connection.status()) &&
        !absl::IsUnavailable(connection.status())) {
      Finish(connection.status());
      return absl::OkStatus();
    }
    if (!has_said_waiting_) {
      has_said_waiting_ = true;
      Say("silo ", options_.silo, " has no console now; waiting for it");
    }
    return Retry();
  }
  has_said_waiting_ = false;
  retry_.Reset();
  connection_source_.Reset();
  connection_ = *std::move(connection);
  (void)Send(console::Attach{.role = role_,
                             .takes_over = takes_over_,
                             .resumes = epoch_.has_value(),
                             .epoch = epoch_.value_or(0),
                             .position = position_});
  return absl::OkStatus();
}

absl::Status ConsoleSession::Retry() {
  connection_source_.Reset();
  connection_.Reset();
  VMSILO_ASSIGN_OR_RETURN(
      retry_, loop_->AddTimer(kRetryInterval, [this] { return Connect(); }));
  return absl::OkStatus();
}

absl::Status ConsoleSession::OnConnection(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
    return absl::OkStatus();  // Update() writes
  }
  std::array<char, console::kMaxMessageBytes> packet;
  const ssize_t size =
      recv(connection_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (size <= 0) {
    // What was typed was meant for the guest that there was.
    if (is_terminal_) input_.clear();
    has_guest_.reset();
    return is_finished_ ? absl::OkStatus() : Retry();
  }
  OnPacket(absl::string_view(packet.data(), static_cast<size_t>(size)));
  return absl::OkStatus();
}

void ConsoleSession::OnPacket(absl::string_view packet) {
  const absl::StatusOr<console::FromRelay> message =
      console::DecodeFromRelay(packet);
  if (!message.ok()) {
    Finish(message.status());
  } else if (const auto* attached = std::get_if<console::Attached>(&*message)) {
    OnAttached(*attached);
  } else if (const auto* output = std::get_if<console::Output>(&*message)) {
    OnOutput(*output);
  } else if (const auto* lost = std::get_if<console::Lost>(&*message)) {
    position_ = lost->to;
    Say(lost->to - lost->from, " bytes were too fast for this terminal");
  } else if (const auto* guest = std::get_if<console::Guest>(&*message)) {
    has_guest_ = guest->is_connected;
    Say("silo ", options_.silo,
        guest->is_connected ? " is back" : " is gone; waiting for it");
  } else if (const auto* change = std::get_if<console::RoleChange>(&*message)) {
    role_ = change->role;
    input_.clear();
    if (!is_terminal_) {
      // The rest of a pipe would be lost without a word.
      Finish(absl::UnavailableError(absl::StrCat("the console of silo ",
                                                 Quoted(options_.silo),
                                                 ": somebody else types now")));
      return;
    }
    Say("somebody else types now", TakeOverHint());
  } else if (const auto* status = std::get_if<console::Status>(&*message)) {
    Say(status->has_guest ? "virtual machine connected"
                          : "no virtual machine connected",
        status->is_terminal_open ? ", terminal open" : "", ", ",
        status->viewers, status->viewers == 1 ? " viewer" : " viewers", ", ",
        status->from_guest, " bytes from the guest, ", status->to_guest,
        " to it");
  } else if (const auto* error = std::get_if<console::Error>(&*message)) {
    OnError(*error);
  }
}

void ConsoleSession::OnAttached(const console::Attached& attached) {
  role_ = attached.role;
  takes_over_ = false;
  if (epoch_.has_value() && *epoch_ == attached.epoch &&
      attached.position > position_) {
    Say(attached.position - position_, " bytes were lost meanwhile");
  }
  epoch_ = attached.epoch;
  position_ = attached.position;
  if (!attached.has_guest && has_guest_ != false) {
    Say("silo ", options_.silo, " does not run; waiting for it");
  }
  has_guest_ = attached.has_guest;
  // Keys that were meant for another; a pipe's bytes wait.
  if (!attached.has_guest && is_terminal_) input_.clear();
  SendSize();
}

void ConsoleSession::OnOutput(const console::Output& output) {
  position_ = output.position + output.bytes.size();
  const absl::Status status = options_.filter && isatty(stdio_.out) == 1
                                  ? out_.Write(filter_.Filter(output.bytes), 0)
                                  : out_.Write(output.bytes, 0);
  if (!status.ok()) Finish(status);
}

void ConsoleSession::OnOutputFailed(int error) {
  // The reader of our output has gone: an end like any other program's.
  Finish(error == EPIPE ? WithExitCode(absl::CancelledError(""), 128 + SIGPIPE)
                        : ErrnoStatus(error, "write the console's output"));
}

void ConsoleSession::OnError(const console::Error& error) {
  if (error.code == static_cast<uint16_t>(console::ErrorCode::kHasWriter) &&
      is_terminal_) {
    // Looking on is better than nothing; the relay has hung up.
    role_ = console::Role::kObserver;
    Say("somebody else types", TakeOverHint());
    return;
  }
  Finish(absl::UnavailableError(absl::StrCat("the console of silo ",
                                             Quoted(options_.silo), ": ",
                                             Escaped(error.message))));
}

std::string ConsoleSession::TakeOverHint() const {
  return options_.escape.has_value() && !options_.read_only
             ? absl::StrCat("; ", keys_.NameOf('w'), " to take over")
             : "";
}

void ConsoleSession::OnTyped(absl::string_view bytes) {
  if (!is_terminal_) {
    absl::StrAppend(&input_, bytes);
    return;
  }
  while (!bytes.empty() && !is_finished_) {
    const EscapeKeys::Typed typed = keys_.Read(&bytes);
    // Without a guest, and for whoever only looks on, keys lead nowhere.
    if (role_ == console::Role::kWriter && connection_.is_valid() &&
        has_guest_ != false) {
      absl::StrAppend(&input_, typed.for_guest);
    }
    if (!typed.command.has_value()) continue;
    // What was typed before it is not to be lost by it.
    SendInput();
    OnCommand(*typed.command);
  }
}

void ConsoleSession::OnCommand(EscapeKeys::Command command) {
  switch (command) {
    case EscapeKeys::Command::kLeave:
      Finish(absl::OkStatus());
      break;
    case EscapeKeys::Command::kHelp:
      Say(keys_.Help());
      break;
    case EscapeKeys::Command::kSuspend:
      if (const absl::Status status = Suspend(); !status.ok()) Finish(status);
      break;
    case EscapeKeys::Command::kStatus:
      if (!connection_.is_valid() || !Send(console::StatusRequest{})) {
        Say("no console now");
      }
      break;
    case EscapeKeys::Command::kTakeOver:
      if (options_.read_only) {
        Say("--read-only was given");
        break;
      }
      role_ = console::Role::kWriter;
      takes_over_ = true;
      // A connection keeps its role, so another one is made.
      if (const absl::Status status = Connect(); !status.ok()) Finish(status);
      break;
    case EscapeKeys::Command::kSendSize:
      if (const auto size = TerminalSize(stdio_.in)) {
        absl::StrAppend(&input_, "stty rows ", size->rows, " columns ",
                        size->columns, "\r");
      }
      break;
  }
}

absl::Status ConsoleSession::Suspend() {
  suspend_source_.Reset();
  terminal_.Leave();
  // The whole job, as the terminal does with Ctrl-Z, and by a signal that the
  // kernel ignores where no shell could continue the job: ssh(1) without a
  // shell, or a window of tmux(1), would be stuck for good.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTSTP);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  (void)kill(0, SIGTSTP);  // to ourselves among others, which is allowed
  // Here again after SIGCONT, with the terminal as the shell left it.
  VMSILO_ASSIGN_OR_RETURN(
      suspend_source_, loop_->AddSignal(SIGTSTP, [this] { return Suspend(); }));
  VMSILO_RETURN_IF_ERROR(terminal_.Enter(stdio_.in));
  Say("the console of silo ", options_.silo, " again");
  SendSize();
  return absl::OkStatus();
}

void ConsoleSession::SendSize() {
  if (!is_terminal_ || !connection_.is_valid() ||
      role_ != console::Role::kWriter) {
    return;
  }
  if (const auto size = TerminalSize(stdio_.in)) {
    // A size that gets lost is sent again with the next change.
    (void)Send(
        console::WindowSize{.rows = size->rows, .columns = size->columns});
  }
}

bool ConsoleSession::Send(const console::FromViewer& message) {
  const std::string packet = console::Encode(message);
  return send(connection_.get(), packet.data(), packet.size(),
              MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

void ConsoleSession::SendInput() {
  if (!is_terminal_ && has_guest_ != true) return;
  while (connection_.is_valid() && !input_.empty()) {
    const size_t size = std::min(input_.size(), console::kMaxInputBytes);
    if (!Send(console::Input{.bytes =
                                 absl::string_view(input_).substr(0, size)})) {
      return;
    }
    input_.erase(0, size);
  }
}

absl::Status ConsoleSession::Update() {
  if (is_finished_) return absl::OkStatus();
  SendInput();
  VMSILO_RETURN_IF_ERROR(in_.Update());
  SendInput();
  // Typed, or piped, and nothing of it is left.
  if (has_input_ended_ && input_.empty()) {
    Finish(absl::OkStatus());
    return absl::OkStatus();
  }
  if (!connection_.is_valid()) return absl::OkStatus();
  // More is taken in when what there is has been shown.
  const uint32_t events =
      (out_.is_empty() ? EPOLLIN : 0U) | (input_.empty() ? 0U : EPOLLOUT);
  if (connection_source_.is_active() && events != 0) {
    return connection_source_.SetEvents(events);
  }
  // A connection that has ended would go on saying so.
  connection_source_.Reset();
  if (events == 0) return absl::OkStatus();
  VMSILO_ASSIGN_OR_RETURN(
      connection_source_,
      loop_->AddIo(connection_.get(), events,
                   [this](uint32_t ready) { return OnConnection(ready); }));
  return absl::OkStatus();
}

void ConsoleSession::SayLine(absl::string_view text) {
  // In order with the guest's bytes on a terminal; apart from them in a pipe.
  const std::string line = is_terminal_
                               ? absl::StrCat("\r\n[vmsilo: ", text, "]\r\n")
                               : absl::StrCat("vmsilo: ", text, "\n");
  if (is_terminal_) {
    const absl::Status status = out_.Write(line, 0);
    if (!status.ok()) Finish(status);
  } else {
    // Nobody is left who could be told.
    (void)!write(stdio_.err, line.data(), line.size());
  }
}

void ConsoleSession::Finish(absl::Status status) {
  // A signal may still hurry a session that has ended well.
  if (is_finished_ && (!status_.ok() || status.ok())) return;
  is_finished_ = true;
  status_ = std::move(status);
  connection_source_.Reset();
  retry_.Reset();
}

}  // namespace vmsilo::cli
