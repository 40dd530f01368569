#include "tests/console/person.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/testing/process.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace vmsilo {

Person::Person() {
  int master = -1;
  int slave = -1;
  winsize size = {};
  size.ws_row = 30;
  size.ws_col = 100;
  EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
  // Whoever has this keeps the terminal from being hung up.
  EXPECT_EQ(fcntl(master, F_SETFD, FD_CLOEXEC), 0);
  EXPECT_EQ(fcntl(slave, F_SETFD, FD_CLOEXEC), 0);
  master_ = UniqueFd(master);
  slave_ = UniqueFd(slave);
}

void Person::Start(std::vector<std::string> argv) {
  const int slave = slave_.get();
  client_.emplace(ChildProcess::Start(
      {.argv = std::move(argv),
       .environment = {{"TERM", "xterm-256color"}, {"PS1", "shell> "}},
       .fds = {{0, slave}, {1, slave}, {2, slave}}}));
}

void Person::StartSession(std::vector<std::string> argv) {
  argv.insert(argv.begin(), {"/usr/bin/setsid", "--ctty", "--wait"});
  Start(std::move(argv));
}

void Person::Type(absl::string_view keys) {
  ASSERT_EQ(write(master_.get(), keys.data(), keys.size()),
            static_cast<ssize_t>(keys.size()));
}

void Person::Resize(int rows, int columns) {
  winsize size = {};
  size.ws_row = static_cast<uint16_t>(rows);
  size.ws_col = static_cast<uint16_t>(columns);
  ASSERT_EQ(ioctl(master_.get(), TIOCSWINSZ, &size), 0);
}

std::string Person::ReadUntil(absl::string_view text) {
  while (!absl::StrContains(shown_, text)) {
    pollfd waiting = {.fd = master_.get(), .events = POLLIN, .revents = 0};
    std::array<char, 4096> bytes;
    if (poll(&waiting, 1,
             static_cast<int>(absl::ToInt64Milliseconds(kStreamDeadline))) !=
        1) {
      ADD_FAILURE() << "not shown: " << text << "\nbut: " << shown_;
      break;
    }
    const ssize_t size = read(master_.get(), bytes.data(), bytes.size());
    if (size <= 0) break;
    shown_.append(bytes.data(), size);
  }
  const size_t end = shown_.find(std::string(text));
  std::string seen =
      shown_.substr(0, end == std::string::npos ? end : end + text.size());
  shown_.erase(0, seen.size());
  return seen;
}

bool Person::IsRaw() const {
  termios settings = {};
  EXPECT_EQ(tcgetattr(slave_.get(), &settings), 0);
  return (settings.c_lflag & (ICANON | ECHO)) == 0;
}

pid_t Person::ForegroundJob() const { return tcgetpgrp(master_.get()); }

void Person::HangUp() {
  slave_.Reset();
  master_.Reset();
}

}  // namespace vmsilo
