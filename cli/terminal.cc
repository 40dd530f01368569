#include "cli/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "command/frame.h"
#include "common/status.h"

namespace vmsilo::cli {
namespace {

constexpr char kEscapeKey = 0x1d;  // Ctrl-]
constexpr int kEscapePresses = 3;
constexpr absl::Duration kEscapeSpan = absl::Seconds(1);

// What would end the program without another word: faults, exceptions that
// nobody catches (SIGABRT), and signals that nobody has a reason to send.
constexpr int kDeadly[] = {
    SIGSEGV, SIGBUS,  SIGABRT, SIGFPE,  SIGILL,  SIGSYS,    SIGTRAP, SIGXCPU,
    SIGXFSZ, SIGALRM, SIGUSR1, SIGUSR2, SIGPROF, SIGVTALRM, SIGIO,   SIGPWR};

// Globals, because a signal handler has nothing else. Written before the
// handlers are armed, and read by them alone.
int saved_fd = -1;
termios saved_termios = {};

void OnDeadly(int signo) {
  // From the background this would be a reason to be stopped.
  signal(SIGTTOU, SIG_IGN);
  tcsetattr(saved_fd, TCSANOW, &saved_termios);
  // SA_RESETHAND has put the default action back: this time it is the end.
  raise(signo);
}

}  // namespace

absl::Status RawTerminal::Enter(int fd) {
  if (tcgetattr(fd, &saved_) != 0) {
    return ErrnoStatus("read the terminal's settings");
  }
  raw_ = saved_;
  cfmakeraw(&raw_);
  saved_fd = fd;
  saved_termios = saved_;
  for (const int signo : kDeadly) {
    struct sigaction action = {};
    action.sa_handler = OnDeadly;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(signo, &action, nullptr);
  }
  // Keeps what was typed ahead.
  if (tcsetattr(fd, TCSANOW, &raw_) != 0) {
    return ErrnoStatus("put the terminal into raw mode");
  }
  fd_ = fd;
  is_raw_ = true;
  return absl::OkStatus();
}

void RawTerminal::Leave() {
  if (!is_raw_) return;
  is_raw_ = false;
  // In the background this would stop the program for good. The terminal may
  // have gone, too, and then nobody is left to tell. Not TCSADRAIN: output that
  // Ctrl-S holds up must not hold us.
  const auto old = signal(SIGTTOU, SIG_IGN);
  (void)tcsetattr(fd_, TCSANOW, &saved_);
  signal(SIGTTOU, old);
  for (const int signo : kDeadly) signal(signo, SIG_DFL);
}

void RawTerminal::EnterAgain() {
  if (is_raw_) (void)tcsetattr(fd_, TCSANOW, &raw_);  // as in Leave()
}

std::optional<command::WindowSize> TerminalSize(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return std::nullopt;
  return command::WindowSize{.rows = size.ws_row,
                             .columns = size.ws_col,
                             .x_pixels = size.ws_xpixel,
                             .y_pixels = size.ws_ypixel};
}

bool EscapeKey::IsPressed(absl::string_view bytes, absl::Time now) {
  for (const char c : bytes) {
    if (c != kEscapeKey) {
      count_ = 0;
      continue;
    }
    if (count_ > 0 && now - first_ > kEscapeSpan) count_ = 0;
    if (count_ == 0) first_ = now;
    if (++count_ == kEscapePresses) return true;
  }
  return false;
}

}  // namespace vmsilo::cli
