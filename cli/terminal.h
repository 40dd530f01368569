#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "command/frame.h"

namespace vmsilo::cli {

// Puts the terminal of `fd` into raw mode, and back when destroyed or when the
// program dies of a signal. SIGKILL is beyond help. One at a time.
class RawTerminal {
 public:
  RawTerminal() = default;
  ~RawTerminal() { Leave(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  // `fd` is borrowed until Leave().
  absl::Status Enter(int fd);
  void Leave();

  // After the shell has stopped us and let us go on (SIGCONT), the terminal is
  // as the shell left it.
  void EnterAgain();

  bool is_raw() const { return is_raw_; }

 private:
  int fd_ = -1;
  bool is_raw_ = false;
  termios raw_ = {};
  termios saved_ = {};
};

// The size of the terminal, if it has one.
std::optional<command::WindowSize> TerminalSize(int fd);

// Watches the keyboard for Ctrl-] three times within a second, the way out of
// a session whose other end does not answer. Ctrl-C is the guest's.
class EscapeKey {
 public:
  // Whether `bytes`, typed at `now`, complete the sequence.
  bool IsPressed(absl::string_view bytes, absl::Time now);

 private:
  int count_ = 0;
  absl::Time first_;
};

}  // namespace vmsilo::cli
