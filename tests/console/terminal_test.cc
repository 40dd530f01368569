// `vmsilo console` as a program on somebody's terminal: what it does to the
// terminal, and what shells, tmux and pipes do to it.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/testing/process.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/console/fixture.h"
#include "tests/console/person.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

class TerminalTest : public ConsoleTest {};

TEST_F(TerminalTest, KeysAfterATilde) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.Start(Client());
  person.ReadUntil("~? for help, ~. to leave");
  person.Type("~?");
  person.ReadUntil("type the escape character");
  person.Type("~~a~.\r~x\r~s");
  EXPECT_EQ(ReadExactly(guest.get(), 8), "~a~.\r~x\r");
  person.ReadUntil("virtual machine connected, 1 viewer");
  person.Type("~.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
}

TEST_F(TerminalTest, KeysThatComeTogetherCountInTheirOrder) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.Start(Client());
  person.ReadUntil("to leave");
  person.Type("one\r~rtwo\r~.more");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  Person next;
  next.Start(Client());
  next.ReadUntil("to leave");
  next.Type("next");
  const std::string typed = "one\rstty rows 30 columns 100\rtwo\rnext";
  EXPECT_EQ(ReadExactly(guest.get(), typed.size()), typed);
}

TEST_F(TerminalTest, AnotherEscapeCharacter) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.Start(Client({"--escape", "^]"}));
  person.ReadUntil("^]? for help, ^]. to leave");
  person.Type("~.\r");
  EXPECT_EQ(ReadExactly(guest.get(), 3), "~.\r");
  person.Type("\x1d.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);

  Person other;
  other.Start(Client({"-e", "none"}));
  other.ReadUntil("no escape character");
  other.Type("~.\r");
  EXPECT_EQ(ReadExactly(guest.get(), 3), "~.\r");
}

TEST_F(TerminalTest, PassesTheWindowsSizeOn) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Client());
  person.ReadUntil("to leave");
  AwaitSize({.rows = 30, .columns = 100});
  person.Resize(43, 132);
  AwaitSize({.rows = 43, .columns = 132});
}

TEST_F(TerminalTest, NoDeathLeavesTheTerminalRaw) {
  const UniqueFd guest = ConnectGuest();
  for (const int signo : {SIGABRT, SIGUSR1, SIGALRM, SIGXCPU, SIGPWR}) {
    Person person;
    person.Start(Client({"--take-over"}));
    person.ReadUntil("to leave");
    EXPECT_TRUE(person.IsRaw());
    person.client().Signal(signo);
    EXPECT_EQ(person.client().Wait().signal, signo);
    EXPECT_FALSE(person.IsRaw()) << signo;
  }
  for (const int signo : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
    Person person;
    person.Start(Client({"--take-over"}));
    person.ReadUntil("to leave");
    person.client().Signal(signo);
    EXPECT_EQ(person.client().Wait().exit_code, 128 + signo);
    EXPECT_FALSE(person.IsRaw()) << signo;
  }
}

TEST_F(TerminalTest, CanBeLeftWithoutARelay) {
  ConnectGuest();
  Person person;
  person.Start(Client());
  person.ReadUntil("to leave");
  relay_->Signal(SIGKILL);
  person.ReadUntil("has no console now; waiting for it");
  person.Type("~.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  EXPECT_FALSE(person.IsRaw());
}

TEST_F(TerminalTest, CanBeLeftWhenTheTerminalIsStuck) {
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), std::string(1 << 20, 'x'));
  Person person;
  person.Start(Client());
  // Some of it is shown, and then nobody looks.
  person.ReadUntil("xxx");
  person.Type("\r~.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  EXPECT_FALSE(person.IsRaw());
}

TEST_F(TerminalTest, LeavesTheScreenAsItWas) {
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), "\x1b[?25l\x1b[31mred");
  Person person;
  person.Start(Client());
  person.ReadUntil("red");
  person.Type("~.");
  EXPECT_THAT(person.ReadUntil("\x1b[0m"), HasSubstr("\x1b[?25h"));
}

TEST_F(TerminalTest, EndsWithItsTerminal) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Client());
  person.ReadUntil("to leave");
  person.HangUp();
  // By the signal, or because nothing more can be read.
  EXPECT_THAT(person.client().Wait().exit_code,
              testing::AnyOf(0, 128 + SIGHUP));
}

TEST_F(TerminalTest, IsAJobOfAShell) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession({"/bin/bash", "--norc", "--noediting", "-i"});
  person.Type(absl::StrJoin(Client(), " ") + "\r");
  person.ReadUntil("to leave");
  EXPECT_TRUE(person.IsRaw());
  person.Type("~\x1a");
  person.ReadUntil("Stopped");
  EXPECT_FALSE(person.IsRaw());
  SendAll(guest.get(), "meanwhile");
  person.Type("fg\r");
  // The order is the kernel's.
  const std::string again = person.ReadUntil("the console of silo work again");
  if (again.find("meanwhile") == std::string::npos) {
    person.ReadUntil("meanwhile");
  }
  EXPECT_TRUE(person.IsRaw());
  person.Type("a");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "a");

  // From elsewhere, politely.
  ASSERT_EQ(kill(person.ForegroundJob(), SIGTSTP), 0);
  person.ReadUntil("Stopped");
  EXPECT_FALSE(person.IsRaw());
  person.Type("fg\r");
  person.ReadUntil("the console of silo work again");
  person.Type("b");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "b");
  EXPECT_TRUE(person.IsRaw());

  // And without a chance to do anything about it.
  ASSERT_EQ(kill(person.ForegroundJob(), SIGSTOP), 0);
  person.ReadUntil("Stopped");
  person.ReadUntil("shell> ");
  person.Type("fg\r");
  person.Type("c");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "c");
  EXPECT_TRUE(person.IsRaw());

  person.Type("\r~.");
  person.ReadUntil("shell> ");
  person.Type("echo left: $((40 + 2))\r");
  person.ReadUntil("left: 42");
  EXPECT_FALSE(person.IsRaw());
}

// With SIGSTOP, nobody could make it go on.
TEST_F(TerminalTest, IsNotSuspendedWhereNoShellIs) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Client());
  person.ReadUntil("to leave");
  person.Type("~\x1a");
  person.ReadUntil("the console of silo work again");
  person.Type("a");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "a");
}

TEST_F(TerminalTest, WorksInTmux) {
  ASSERT_EQ(access("/usr/bin/tmux", X_OK), 0)
      << "this test needs tmux: apt-get install tmux";
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession({"/usr/bin/tmux", "-u", "-S", dir_.Path("tmux"), "-f",
                       "/dev/null", "new-session",
                       absl::StrJoin(Client(), " ")});
  SendAll(guest.get(), "\x1b]0;title\x07login:\x20");
  person.ReadUntil("login:");
  // The last line is tmux's.
  AwaitSize({.rows = 29, .columns = 100});
  person.Resize(43, 132);
  AwaitSize({.rows = 42, .columns = 132});
  // Ctrl-B is tmux's, and everything else the guest's.
  person.Type("root\r\x03");
  EXPECT_EQ(ReadExactly(guest.get(), 6), "root\r\x03");
  person.Type("\r~?");
  person.ReadUntil("leave the console");
  person.Type("~.");
  person.ReadUntil("[exited]");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
}

class PipeTest : public TerminalTest {};

TEST_F(PipeTest, InputWaitsForTheSilo) {
  ChildProcess client = ChildProcess::Start({.argv = Client()});
  client.Write("reboot\n");
  client.CloseStdin();
  client.ReadStderrUntil("does not run; waiting for it");
  const UniqueFd guest = ConnectGuest();
  EXPECT_EQ(ReadExactly(guest.get(), 7), "reboot\n");
  EXPECT_EQ(client.Wait().exit_code, 0);
}

TEST_F(PipeTest, AnObserverNeedsNoInput) {
  const UniqueFd guest = ConnectGuest();
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ChildProcess client = ChildProcess::Start(
      {.argv = Client({"--read-only"}), .fds = {{0, null.get()}}});
  SendAll(guest.get(), "one");
  client.ReadStdoutUntil("one");
  SendAll(guest.get(), "two");
  client.ReadStdoutUntil("two");
}

TEST_F(PipeTest, EndsWithItsReader) {
  const UniqueFd guest = ConnectGuest();
  std::array<int, 2> ends = {};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ChildProcess client = ChildProcess::Start(
      {.argv = Client({"--read-only"}), .fds = {{1, writer.get()}}});
  writer.Reset();
  SendAll(guest.get(), "one");
  EXPECT_EQ(ReadExactly(reader.get(), 3), "one");
  reader.Reset();
  SendAll(guest.get(), "two");
  EXPECT_EQ(client.Wait().exit_code, 128 + SIGPIPE);
}

TEST_F(PipeTest, WhoTakesOverEndsIt) {
  const UniqueFd guest = ConnectGuest();
  ChildProcess client = ChildProcess::Start({.argv = Client()});
  client.Write("a");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "a");
  Person person;
  person.Start(Client({"--take-over"}));
  client.ReadStderrUntil("somebody else types now");
  EXPECT_EQ(client.Wait().exit_code, 69);
}

}  // namespace
}  // namespace vmsilo
