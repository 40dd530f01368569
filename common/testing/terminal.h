#pragma once

#include <sys/types.h>
#include <termios.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace vmsilo {

// A terminal of which the test has the keyboard and sees the screen, and a
// program that is tested the other side. What waits has a deadline.
class Terminal {
 public:
  explicit Terminal(uint16_t rows = 30, uint16_t columns = 100);

  // For ChildProcess::Options: the program's standard descriptors.
  std::map<int, int> fds() const;

  void Type(absl::string_view keys);

  // What has been shown since the last call, up to and with `text`.
  std::string ReadUntil(absl::string_view text);
  // What has been shown since then by programs that have ended.
  std::string ReadRest();

  // The size that a program sees; a process whose controlling terminal this is
  // gets SIGWINCH.
  void Resize(uint16_t rows, uint16_t columns);

  // The leader of the job that the keyboard is connected with.
  pid_t ForegroundJob() const;

  // The terminal is gone, as with a window that is closed.
  void HangUp();

  // Every key goes to the program, at once and unseen.
  bool IsRaw() const;
  // Whether it has the settings that it began with.
  bool IsRestored() const;

 private:
  termios Settings() const;

  UniqueFd master_;
  UniqueFd slave_;
  termios first_settings_ = {};
  std::string shown_;
};

}  // namespace vmsilo
