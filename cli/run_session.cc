#include "cli/run_session.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/terminal.h"
#include "command/client.h"
#include "command/limits.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::cli {
namespace {

using command::Stream;

// All that an agent may have under way of a stream: frames that a read brings
// whole need not be put together.
constexpr size_t kReadBytes = command::kDefaultWindow;

// A silo that runs answers in milliseconds: before this there is nothing to
// report. Afterwards the seconds are counted.
constexpr absl::Duration kProgressInterval = absl::Seconds(1);

// How long a command gets to end after we have told it to, for a reason that
// leaves us nothing else to do. Enough to clean up, short enough for somebody
// who waits for a prompt.
constexpr absl::Duration kGrace = absl::Seconds(2);

// So many interrupts, each within the span of the last, mean us.
constexpr int kInterruptsToLeave = 3;
constexpr absl::Duration kInterruptSpan = absl::Seconds(1);

constexpr int kForwarded[] = {SIGINT,  SIGTERM, SIGHUP,
                              SIGQUIT, SIGUSR1, SIGUSR2};

// Best effort, for what is nice to see and no loss otherwise.
void Print(int fd, absl::string_view text) {
  (void)!write(fd, text.data(), text.size());
}

}  // namespace

RunSession::RunSession(EventLoop* loop, const Clock* clock, UniqueFd connection,
                       Stdio stdio, RunOptions options)
    : loop_(loop),
      clock_(clock),
      connection_(std::move(connection)),
      stdio_(stdio),
      options_(std::move(options)),
      session_(options_.start, this),
      progress_(stdio.err, options_.shows_progress),
      in_(loop, {.capacity = [this] { return session_.StdinCapacity(); },
                 .take = [this](absl::string_view bytes) { OnTyped(bytes); },
                 .end = [this] { session_.SendStdinEnd(); }}),
      out_(loop,
           {.written =
                [this](size_t n) { session_.Consumed(Stream::kStdout, n); },
            .failed = [this](int error) { OnOutputFailed(error); }}),
      err_(loop,
           {.written =
                [this](size_t n) { session_.Consumed(Stream::kStderr, n); },
            // Nobody is left who could be told; the command goes on.
            .failed = [](int) {}}) {}

RunEnd RunSession::Run() {
  absl::Status status = Prepare();
  while (status.ok() && !is_abandoned_ &&
         !(is_finished_ && out_.output.is_empty() && err_.output.is_empty())) {
    status = loop_->RunOnce(absl::InfiniteDuration());
    if (status.ok()) status = Update();
  }
  progress_.Clear();
  if (!status.ok() && end_.status.ok()) end_.status = status;
  for (Sink* sink : {&out_, &err_}) {
    if (sink->is_filtered) Print(sink->fd, sink->filter.Reset());
  }
  terminal_.Leave();
  end_.has_hello = session_.has_hello();
  end_.outcome = session_.outcome();
  return std::move(end_);
}

absl::Status RunSession::Prepare() {
  begun_ = clock_->Now();
  out_.fd = stdio_.out;
  err_.fd = stdio_.err;
  for (Sink* sink : {&out_, &err_}) {
    VMSILO_RETURN_IF_ERROR(sink->output.Open(sink->fd));
    sink->is_filtered = options_.filter && isatty(sink->fd) == 1;
  }
  VMSILO_RETURN_IF_ERROR(PrepareSignals());
  VMSILO_ASSIGN_OR_RETURN(
      connection_source_,
      loop_->AddIo(connection_.get(), EPOLLIN,
                   [this](uint32_t events) { return OnConnection(events); }));
  if (options_.timeout) {
    VMSILO_ASSIGN_OR_RETURN(
        timeout_source_, loop_->AddTimer(*options_.timeout, [this] {
          Finish(absl::DeadlineExceededError(absl::StrCat(
              session_.has_hello() ? "the command was not started within "
                                   : "no answer within ",
              absl::FormatDuration(*options_.timeout))));
          return absl::OkStatus();
        }));
  }
  if (progress_.is_enabled()) {
    VMSILO_ASSIGN_OR_RETURN(
        progress_source_,
        loop_->AddTimer(kProgressInterval, [this] { return OnProgress(); }));
  }
  return absl::OkStatus();
}

absl::Status RunSession::PrepareSignals() {
  for (const int signo : kForwarded) {
    // nohup and background jobs of scripts ignore some, and so do we then.
    struct sigaction action = {};
    if (sigaction(signo, nullptr, &action) == 0 &&
        action.sa_handler == SIG_IGN) {
      continue;
    }
    VMSILO_ASSIGN_OR_RETURN(
        Source source,
        loop_->AddSignal(signo, [this, signo] { return OnSignal(signo); }));
    signal_sources_.push_back(std::move(source));
  }
  if (!options_.start.tty) return absl::OkStatus();
  for (const int signo : {SIGWINCH, SIGCONT}) {
    VMSILO_ASSIGN_OR_RETURN(Source source,
                            loop_->AddSignal(signo, [this, signo] {
                              if (signo == SIGCONT) terminal_.EnterAgain();
                              if (const auto size = TerminalSize(stdio_.in)) {
                                session_.SendWindowSize(*size);
                              }
                              return absl::OkStatus();
                            }));
    signal_sources_.push_back(std::move(source));
  }
  return absl::OkStatus();
}

absl::Status RunSession::OnConnection(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadConnection();
  return absl::OkStatus();  // Update() writes
}

void RunSession::ReadConnection() {
  std::array<char, kReadBytes> buffer;
  const ssize_t n = recv(connection_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    const bool had_hello = session_.has_hello();
    const absl::Status status = session_.Receive(
        absl::string_view(buffer.data(), static_cast<size_t>(n)));
    if (!had_hello && session_.has_hello()) {
      progress_.Clear();
      progress_source_.Reset();
    }
    if (!status.ok()) {
      Finish(status);
    } else if (session_.outcome()) {
      Finish(absl::OkStatus());
    }
    return;
  }
  const absl::Status reset =
      n < 0 ? ErrnoStatus("the silo's connection") : absl::OkStatus();
  const absl::Status end = session_.ReceiveEnd();
  is_connection_open_ = false;
  Finish(end.ok() || reset.ok() ? end : Annotate(end, reset.message()));
}

void RunSession::WriteConnection() {
  while (is_connection_open_ && !session_.pending().empty()) {
    const absl::string_view bytes = session_.pending();
    const ssize_t n = send(connection_.get(), bytes.data(), bytes.size(),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      // The peer has closed; what it said last is still to be read.
      is_connection_open_ = false;
      return;
    }
    session_.Consume(static_cast<size_t>(n));
  }
}

// After every event: writes what has been queued, and asks for the events that
// now matter.
absl::Status RunSession::Update() {
  if (is_finished_) return absl::OkStatus();
  VMSILO_RETURN_IF_ERROR(in_.Update());
  WriteConnection();
  // What was written may have made room for more input.
  VMSILO_RETURN_IF_ERROR(in_.Update());
  const bool is_full = is_connection_open_ && !session_.pending().empty();
  return connection_source_.SetEvents(is_full ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void RunSession::OnStarted(uint32_t /*pid*/) {
  timeout_source_.Reset();
  if (options_.start.detach) return;
  if (options_.start.tty) {
    const absl::Status raw = terminal_.Enter(stdio_.in);
    if (!raw.ok()) {
      Finish(raw);
      return;
    }
  }
  if (!options_.reads_stdin) {
    session_.SendStdinEnd();
    return;
  }
  const absl::Status opened = in_.Open(stdio_.in);
  if (!opened.ok()) Finish(opened);
}

void RunSession::OnTyped(absl::string_view bytes) {
  if (options_.start.tty && escape_key_.IsPressed(bytes, clock_->Now())) {
    Finish(absl::CancelledError("left the session (Ctrl-] three times)"));
    is_abandoned_ = true;
    return;
  }
  session_.SendStdin(bytes);
}

void RunSession::OnOutput(Stream stream, absl::string_view bytes) {
  Sink& sink = SinkOf(stream);
  const absl::Status status =
      sink.is_filtered
          ? sink.output.Write(sink.filter.Filter(bytes), bytes.size())
          : sink.output.Write(bytes, bytes.size());
  if (!status.ok()) Finish(status);
}

void RunSession::OnOutputEnd(Stream /*stream*/) {
  // Ours stays open until we end, like that of any other program.
}

// The reader of our output has gone: `vmsilo run x -- yes | head -1`. The
// command gets what it would get in a local pipe.
void RunSession::OnOutputFailed(int error) {
  if (error != EPIPE) {
    const absl::Status status =
        ErrnoStatus(error, "write the command's output");
    // Also after the command's end: not all of its output has arrived.
    if (end_.status.ok()) end_.status = status;
    Finish(status);
    return;
  }
  if (is_finished_) return;
  session_.SendSignal(SIGPIPE);
  absl::StatusOr<Source> grace = loop_->AddTimer(kGrace, [this] {
    end_.signal = SIGPIPE;
    Finish(absl::OkStatus());
    return absl::OkStatus();
  });
  if (grace.ok()) {
    grace_source_ = *std::move(grace);
  } else {
    Finish(grace.status());
  }
}

absl::Status RunSession::OnSignal(int signo) {
  const absl::Time now = clock_->Now();
  if (signo == SIGINT) {
    interrupts_ = now - last_interrupt_ <= kInterruptSpan ? interrupts_ + 1 : 1;
    last_interrupt_ = now;
  }
  const bool means_us = signo == SIGINT && interrupts_ >= kInterruptsToLeave;
  if (is_finished_ || means_us ||
      !session_.SendSignal(static_cast<uint8_t>(signo))) {
    end_.signal = signo;
    Finish(absl::OkStatus());
    is_abandoned_ = true;
    return absl::OkStatus();
  }
  if (signo != SIGTERM && signo != SIGHUP) return absl::OkStatus();
  // We are to end as well, even if the command is not.
  VMSILO_ASSIGN_OR_RETURN(grace_source_, loop_->AddTimer(kGrace, [this, signo] {
    end_.signal = signo;
    Finish(absl::OkStatus());
    is_abandoned_ = true;
    return absl::OkStatus();
  }));
  return absl::OkStatus();
}

absl::Status RunSession::OnProgress() {
  progress_.Show(absl::StrCat("waiting for ", options_.silo, " ... ",
                              absl::ToInt64Seconds(clock_->Now() - begun_),
                              " s"));
  return progress_source_.SetTimer(kProgressInterval);
}

void RunSession::Finish(absl::Status status) {
  if (is_finished_) return;
  is_finished_ = true;
  if (end_.status.ok()) end_.status = std::move(status);
  connection_source_.Reset();
  timeout_source_.Reset();
}

}  // namespace vmsilo::cli
