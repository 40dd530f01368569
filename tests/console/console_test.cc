// `vmsilo console` and the relay as they are shipped, between a hypervisor that
// the test plays and a person at a terminal.

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A person at a terminal, and what the terminal shows.
class Person {
 public:
  Person() {
    int master = -1;
    int slave = -1;
    winsize size = {};
    size.ws_row = 30;
    size.ws_col = 100;
    EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, &size), 0);
    master_ = UniqueFd(master);
    slave_ = UniqueFd(slave);
  }

  void Start(std::vector<std::string> argv) {
    const int slave = slave_.get();
    client_.emplace(
        ChildProcess::Start({.argv = std::move(argv),
                             .fds = {{0, slave}, {1, slave}, {2, slave}}}));
  }

  void Type(absl::string_view keys) {
    ASSERT_EQ(write(master_.get(), keys.data(), keys.size()),
              static_cast<ssize_t>(keys.size()));
  }

  // Everything that has been shown, until `text` is among it.
  std::string ReadUntil(absl::string_view text) {
    while (!absl::StrContains(shown_, text)) {
      pollfd waiting = {.fd = master_.get(), .events = POLLIN, .revents = 0};
      std::array<char, 4096> bytes;
      if (poll(&waiting, 1, 20000) != 1) {
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

  bool IsRaw() const {
    termios settings = {};
    EXPECT_EQ(tcgetattr(slave_.get(), &settings), 0);
    return (settings.c_lflag & (ICANON | ECHO)) == 0;
  }

  ChildProcess& client() { return *client_; }

 private:
  UniqueFd master_;
  UniqueFd slave_;
  std::string shown_;
  std::optional<ChildProcess> client_;
};

class ConsoleTest : public ::testing::Test {
 protected:
  void StartRelay() {
    relay_.reset();
    relay_ = std::make_unique<ChildProcess>(ChildProcess::Start(
        {.argv = {Runfile("console-relay/vmsilo-console-relay"), "--backend",
                  dir_.Path("backend"), "--pty", dir_.Path("console"),
                  "--viewers", dir_.Path("viewers"), "--log-level", "debug"}}));
    relay_->ReadStderrUntil("ready");
  }

  std::vector<std::string> Client(std::vector<std::string> options = {}) {
    std::vector<std::string> argv = {Runfile("cli/vmsilo"), "console",
                                     "--socket", dir_.Path("viewers")};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back("work");
    return argv;
  }

  UniqueFd ConnectGuest() {
    absl::StatusOr<UniqueFd> guest = ConnectUnix(dir_.Path("backend"));
    EXPECT_THAT(guest, IsOk());
    relay_->ReadStderrUntil("the virtual machine is connected");
    return *std::move(guest);
  }

  TempDir dir_;
  std::unique_ptr<ChildProcess> relay_;
};

TEST_F(ConsoleTest, ShowsWhatWasAndTakesWhatIsTyped) {
  StartRelay();
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), "Debian GNU/Linux\r\nlogin: ");
  Person person;
  person.Start(Client());
  person.ReadUntil("Debian GNU/Linux\r\nlogin: ");
  EXPECT_TRUE(person.IsRaw());
  person.Type("root\r\x03");
  EXPECT_EQ(ReadExactly(guest.get(), 6), "root\r\x03");
  person.Type("\r~.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  EXPECT_FALSE(person.IsRaw());
}

TEST_F(ConsoleTest, SaysWhenTheSiloGoesAndComesBack) {
  StartRelay();
  std::optional<UniqueFd> guest = ConnectGuest();
  Person person;
  person.Start(Client());
  SendAll(guest->get(), "before");
  person.ReadUntil("before");
  guest.reset();
  person.ReadUntil("silo work is gone");
  guest = ConnectGuest();
  person.ReadUntil("silo work is back");
  SendAll(guest->get(), "after");
  person.ReadUntil("after");
}

TEST_F(ConsoleTest, OutlivesTheRelay) {
  StartRelay();
  std::optional<UniqueFd> guest = ConnectGuest();
  Person person;
  person.Start(Client());
  SendAll(guest->get(), "one");
  person.ReadUntil("one");
  relay_->Signal(SIGKILL);
  person.ReadUntil("has no console now");
  StartRelay();
  guest = ConnectGuest();
  SendAll(guest->get(), "two");
  person.ReadUntil("two");
  person.Type("still here\r");
  EXPECT_EQ(ReadExactly(guest->get(), 11), "still here\r");
}

TEST_F(ConsoleTest, KeepsTheTerminalFromHarm) {
  StartRelay();
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(),
          "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[6n!");
  {
    Person person;
    person.Start(Client());
    const std::string shown = person.ReadUntil("!");
    EXPECT_THAT(shown, HasSubstr("\x1b[31mred"));
    EXPECT_THAT(shown, Not(HasSubstr("title")));
    EXPECT_THAT(shown, Not(HasSubstr("]52")));
    EXPECT_THAT(shown, Not(HasSubstr("\x1b[6n")));
  }
  Person person;
  person.Start(Client({"--raw", "--take-over"}));
  EXPECT_THAT(person.ReadUntil("!"), HasSubstr("\x1b]0;title\x07"));
}

TEST_F(ConsoleTest, OnePersonTypesAndAnotherTakesOver) {
  StartRelay();
  const UniqueFd guest = ConnectGuest();
  Person first;
  first.Start(Client());
  first.ReadUntil("~. to leave");
  first.Type("a");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "a");
  Person second;
  second.Start(Client());
  second.ReadUntil("somebody else types; ~w to take over");
  second.Type("~w");
  first.ReadUntil("somebody else types now");
  second.Type("b");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "b");
}

TEST_F(ConsoleTest, AnObserverOnlyLooks) {
  StartRelay();
  const UniqueFd guest = ConnectGuest();
  Person observer;
  observer.Start(Client({"--read-only"}));
  SendAll(guest.get(), "to be seen");
  observer.ReadUntil("to be seen");
  observer.Type("x\r~?");
  observer.ReadUntil("~.   leave the console");
  Person writer;
  writer.Start(Client());
  writer.ReadUntil("to be seen");
  writer.Type("y");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "y");
}

TEST_F(ConsoleTest, ASignalPutsTheTerminalBack) {
  StartRelay();
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), "here");
  for (const int signo : {SIGTERM, SIGHUP}) {
    Person person;
    person.Start(Client({"--take-over"}));
    person.ReadUntil("here");
    EXPECT_TRUE(person.IsRaw());
    person.client().Signal(signo);
    EXPECT_EQ(person.client().Wait().exit_code, 128 + signo);
    EXPECT_FALSE(person.IsRaw());
  }
}

TEST_F(ConsoleTest, WorksInPipes) {
  StartRelay();
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), "\x1b]0;as it is\x07");
  ChildProcess client = ChildProcess::Start({.argv = Client()});
  client.ReadStdoutUntil("\x1b]0;as it is\x07");
  client.Write("reboot\n");
  EXPECT_EQ(ReadExactly(guest.get(), 7), "reboot\n");
  const ChildProcess::Result result = client.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "\x1b]0;as it is\x07");
}

}  // namespace
}  // namespace vmsilo
