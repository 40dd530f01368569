#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/local_stream.h"
#include "cli/progress_line.h"
#include "cli/terminal.h"
#include "cli/terminal_filter.h"
#include "command/client.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::cli {

struct RunOptions {
  std::string silo;  // for the progress line
  command::Start start;
  bool filter = true;          // what the guest writes to a terminal
  bool reads_stdin = true;     // otherwise the command's input is empty
  bool shows_progress = true;  // if standard error is a terminal
  // For the command to start, or to be refused; the whole boot lies in it.
  std::optional<absl::Duration> timeout;
};

// The descriptors of the person's side.
struct Stdio {
  int in = 0;
  int out = 1;
  int err = 2;
};

// How a session ended: with the guest's word, or with the reason for its
// absence.
struct RunEnd {
  std::optional<command::Outcome> outcome;
  // Whether somebody in the guest answered.
  bool has_hello = false;
  // A signal ended us before the command could have it, or in its place.
  std::optional<int> signal;
  absl::Status status;
};

// Runs one command over a connection to a silo's command socket: passes
// standard input, output, signals and the size of the window, and restores the
// terminal in the end.
class RunSession : private command::ClientSession::Handler {
 public:
  // `connection` is a connected, non-blocking stream socket.
  RunSession(EventLoop* loop, const Clock* clock, UniqueFd connection,
             Stdio stdio, RunOptions options);
  RunSession(const RunSession&) = delete;
  RunSession& operator=(const RunSession&) = delete;

  RunEnd Run();

 private:
  struct Sink {
    Sink(EventLoop* loop, LocalOutput::Handler handler)
        : output(loop, std::move(handler)) {}
    LocalOutput output;
    TerminalFilter filter;
    bool is_filtered = false;
    int fd = -1;
  };

  void OnStarted(uint32_t pid) override;
  void OnOutput(command::Stream stream, absl::string_view bytes) override;
  void OnOutputEnd(command::Stream stream) override;

  absl::Status Prepare();
  absl::Status PrepareSignals();
  absl::Status OnConnection(uint32_t events);
  absl::Status OnSignal(int signo);
  absl::Status OnProgress();
  absl::Status Update();
  void OnTyped(absl::string_view bytes);
  void OnOutputFailed(int error);
  void ReadConnection();
  void WriteConnection();
  void Finish(absl::Status status);
  Sink& SinkOf(command::Stream stream) {
    return stream == command::Stream::kStderr ? err_ : out_;
  }

  EventLoop* loop_;
  const Clock* clock_;
  UniqueFd connection_;
  Stdio stdio_;
  RunOptions options_;
  command::ClientSession session_;
  RawTerminal terminal_;
  EscapeKey escape_key_;
  ProgressLine progress_;
  LocalInput in_;
  Sink out_;
  Sink err_;

  bool is_connection_open_ = true;
  bool is_finished_ = false;   // nothing more to wait for but our own output
  bool is_abandoned_ = false;  // not even that
  int interrupts_ = 0;
  absl::Time last_interrupt_;
  absl::Time begun_;
  RunEnd end_;

  Source connection_source_;
  Source progress_source_;
  Source timeout_source_;
  Source grace_source_;
  std::vector<Source> signal_sources_;
};

}  // namespace vmsilo::cli
