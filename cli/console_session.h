#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/escape_keys.h"
#include "cli/local_stream.h"
#include "cli/run_session.h"
#include "cli/terminal.h"
#include "cli/terminal_filter.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "console/message.h"

namespace vmsilo::cli {

struct ConsoleOptions {
  std::string silo;    // for messages
  std::string socket;  // of the console's viewers
  bool read_only = false;
  bool takes_over = false;
  bool filter = true;  // what the guest writes to a terminal
  std::optional<char> escape = '~';
};

// A person at a silo's console, until the person leaves. The silo may go and
// come back meanwhile, and so may the console's relay: output then goes on
// where it was, and what was lost is said.
class ConsoleSession {
 public:
  ConsoleSession(EventLoop* loop, Stdio stdio, ConsoleOptions options);
  ConsoleSession(const ConsoleSession&) = delete;
  ConsoleSession& operator=(const ConsoleSession&) = delete;

  // OK when the person left, or the input has ended. The status of a signal
  // that ended us is Cancelled, without a message.
  absl::Status Run();

 private:
  absl::Status Prepare();
  // Connects, now or as soon as there is a console.
  absl::Status Connect();
  absl::Status Retry();
  absl::Status OnConnection(uint32_t events);
  void OnPacket(absl::string_view packet);
  void OnAttached(const console::Attached& attached);
  void OnOutput(const console::Output& output);
  void OnOutputFailed(int error);
  void OnError(const console::Error& error);
  void OnTyped(absl::string_view bytes);
  void OnCommand(EscapeKeys::Command command);
  std::string TakeOverHint() const;
  // Stops, as a shell's Ctrl-Z does, until the shell lets us go on.
  absl::Status Suspend();
  // Shows what is left, as far as somebody looks.
  void Drain();
  void SendSize();
  // False if the relay has no room now.
  bool Send(const console::FromViewer& message);
  void SendInput();
  absl::Status Update();
  // A line of ours between those of the guest.
  template <typename... Texts>
  void Say(const Texts&... texts) {
    SayLine(absl::StrCat(texts...));
  }
  void SayLine(absl::string_view text);
  void Finish(absl::Status status);

  EventLoop* loop_;
  Stdio stdio_;
  ConsoleOptions options_;
  bool is_terminal_ = false;  // both ends of ours
  console::Role role_;
  bool takes_over_;

  UniqueFd connection_;
  bool has_said_waiting_ = false;
  std::optional<bool> has_guest_;
  std::optional<uint64_t> epoch_;
  uint64_t position_ = 0;
  std::string input_;  // typed, and not taken yet
  bool has_input_ended_ = false;

  bool is_finished_ = false;
  absl::Status status_;

  RawTerminal terminal_;
  TerminalFilter filter_;
  EscapeKeys keys_;
  LocalInput in_;
  LocalOutput out_;
  std::vector<Source> signal_sources_;
  Source suspend_source_;
  Source connection_source_;
  Source retry_;
};

}  // namespace vmsilo::cli
