#include "common/testing/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

constexpr int kDeadlineMs = 30000;

winsize Size(uint16_t rows, uint16_t columns) {
  winsize size = {};
  size.ws_row = rows;
  size.ws_col = columns;
  return size;
}

}  // namespace

Terminal::Terminal(uint16_t rows, uint16_t columns) {
  int master = -1;
  int slave = -1;
  const winsize size = Size(rows, columns);
  EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
  master_ = UniqueFd(master);
  slave_ = UniqueFd(slave);
  // openpty() cannot.
  EXPECT_EQ(fcntl(master, F_SETFD, FD_CLOEXEC), 0);
  EXPECT_EQ(fcntl(slave, F_SETFD, FD_CLOEXEC), 0);
  first_settings_ = Settings();
}

std::map<int, int> Terminal::fds() const {
  const int fd = slave_.get();
  return {{0, fd}, {1, fd}, {2, fd}};
}

void Terminal::Type(absl::string_view keys) {
  EXPECT_EQ(write(master_.get(), keys.data(), keys.size()),
            static_cast<ssize_t>(keys.size()));
}

std::string Terminal::ReadUntil(absl::string_view text) {
  size_t at = std::string::npos;
  while ((at = shown_.find(std::string(text))) == std::string::npos) {
    pollfd waiting = {.fd = master_.get(), .events = POLLIN, .revents = 0};
    std::array<char, 4096> bytes;
    const ssize_t size = poll(&waiting, 1, kDeadlineMs) == 1
                             ? read(master_.get(), bytes.data(), bytes.size())
                             : 0;
    if (size <= 0) {
      ADD_FAILURE() << "not shown: " << text << "\nbut: " << shown_;
      return "";
    }
    shown_.append(bytes.data(), static_cast<size_t>(size));
  }
  std::string seen = shown_.substr(0, at + text.size());
  shown_.erase(0, seen.size());
  return seen;
}

std::string Terminal::ReadRest() {
  constexpr absl::string_view kEnd = "<end of the test>";
  EXPECT_EQ(write(slave_.get(), kEnd.data(), kEnd.size()),
            static_cast<ssize_t>(kEnd.size()));
  return ReadUntil(kEnd);
}

void Terminal::Resize(uint16_t rows, uint16_t columns) {
  const winsize size = Size(rows, columns);
  EXPECT_EQ(ioctl(master_.get(), TIOCSWINSZ, &size), 0);
}

pid_t Terminal::ForegroundJob() const { return tcgetpgrp(master_.get()); }

void Terminal::HangUp() {
  slave_.Reset();
  master_.Reset();
}

bool Terminal::IsRaw() const {
  return (Settings().c_lflag & (ICANON | ECHO)) == 0;
}

bool Terminal::IsRestored() const {
  const termios now = Settings();
  return now.c_lflag == first_settings_.c_lflag &&
         now.c_iflag == first_settings_.c_iflag &&
         now.c_oflag == first_settings_.c_oflag;
}

termios Terminal::Settings() const {
  termios settings = {};
  EXPECT_EQ(tcgetattr(slave_.get(), &settings), 0);
  return settings;
}

}  // namespace vmsilo
