// `vmsilo console` and `vmsilo run` for somebody who is logged in by ssh(1):
// OpenSSH's client at a terminal, its server on a pipe, and between them
// everything that a network would carry.

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/testing/process.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/console/fixture.h"
#include "tests/console/person.h"
#include "tests/silo/shell.h"

namespace vmsilo {
namespace {

using lab::Shell;
using lab::ShellQuoted;
using lab::Succeeds;
using ::testing::HasSubstr;

constexpr uid_t kDesk = 4200;

// A process that is no child of ours.
class Process {
 public:
  // What `shown` has between "pid=" and the end of its line.
  explicit Process(absl::string_view shown) {
    const size_t at = shown.find("pid=");
    const size_t end = shown.find('\r', at);
    pid_t pid = -1;
    EXPECT_TRUE(end != absl::string_view::npos &&
                absl::SimpleAtoi(shown.substr(at + 4, end - at - 4), &pid))
        << shown;
    fd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    EXPECT_TRUE(fd_.is_valid());
  }

  bool IsRunning() const { return !HasEnded(0); }
  bool Ends() const { return HasEnded(20'000); }

 private:
  bool HasEnded(int timeout_ms) const {
    pollfd waiting = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, timeout_ms) == 1;
  }

  UniqueFd fd_;
};

class SshTest : public ConsoleTest {
 protected:
  // As its package does it, but for the service.
  static void SetUpTestSuite() {
    ASSERT_TRUE(
        Succeeds("dpkg-deb --fsys-tarfile tests/console/openssh-server.deb | "
                 "tar --extract --directory / ./usr && mkdir -p /run/sshd && "
                 "systemd-sysusers --inline 'u sshd - - /run/sshd' && "
                 // Where the desktop user can get at it.
                 "install cli/vmsilo agent/vmsilo-agent /usr/bin"));
  }

  void SetUp() override {
    ConsoleTest::SetUp();
    for (const std::string& path : {dir_.path(), dir_.Path("viewers")}) {
      ASSERT_EQ(chown(path.c_str(), kDesk, kDesk), 0);
    }
    const std::string make_keys = InDirectory(R"(
        ssh-keygen -q -t ed25519 -N '' -f DIRECTORY/host
        ssh-keygen -q -t ed25519 -N '' -f DIRECTORY/person
        sed 's/^/lab /' DIRECTORY/host.pub >DIRECTORY/known
        )");
    ASSERT_TRUE(Succeeds(make_keys));
    dir_.Write("sshd_config", InDirectory(R"(
        HostKey DIRECTORY/host
        AuthorizedKeysFile DIRECTORY/person.pub
        StrictModes no
        PidFile none
        )"));
    // What happens to the terminal is nothing to the server: elsewhere it is
    // on another computer.
    dir_.Write("ssh_config", InDirectory(R"(
        Host lab
        User desk
        IdentityFile DIRECTORY/person
        UserKnownHostsFile DIRECTORY/known
        StrictHostKeyChecking yes
        ProxyCommand setsid --wait /usr/sbin/sshd -i -f DIRECTORY/sshd_config
        )"));
  }

  void TearDown() override {
    if (HasFailure()) {
      std::cerr << Shell("journalctl --no-pager -b -t sshd").out;
    }
  }

  std::string InDirectory(absl::string_view text) const {
    return absl::StrReplaceAll(text, {{"DIRECTORY", dir_.path()}});
  }

  // What a person types to run `command` over there.
  std::vector<std::string> Ssh(const std::string& command) {
    return {"/usr/bin/ssh",          "-tt", "-F",
            dir_.Path("ssh_config"), "lab", command};
  }

  std::string Console(absl::string_view options = "") {
    return absl::StrCat("vmsilo console --socket ", dir_.Path("viewers"), " ",
                        options, " work");
  }

  // After somebody else has left, however.
  void ExpectTheNextPersonTypes(int guest) {
    AwaitNoWriter();
    Person person;
    person.StartSession(Ssh(Console()));
    person.ReadUntil("to leave");
    person.Type("x");
    EXPECT_EQ(ReadExactly(guest, 1), "x");
  }
};

TEST_F(SshTest, CarriesEveryKeyAndWhatTheGuestSays) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh(Console()));
  person.ReadUntil("to leave");
  EXPECT_TRUE(person.IsRaw());
  SendAll(guest.get(), "gr\xc3\xbc\xc3\x9f dich\r\nlogin:\x20");
  person.ReadUntil("gr\xc3\xbc\xc3\x9f dich\r\nlogin:\x20");
  std::string every_key(256, '\0');
  for (int i = 0; i < 256; ++i) every_key[i] = static_cast<char>(i);
  person.Type(every_key);
  EXPECT_EQ(ReadExactly(guest.get(), 256), every_key);
}

TEST_F(SshTest, PassesTheWindowsSizeOn) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh(Console()));
  person.ReadUntil("to leave");
  AwaitSize({.rows = 30, .columns = 100});
  person.Resize(43, 132);
  AwaitSize({.rows = 43, .columns = 132});
}

TEST_F(SshTest, ATildeIsForSsh) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh(Console()));
  person.ReadUntil("to leave");
  person.Type("\r~?");
  person.ReadUntil("Supported escape sequences:");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "\r");
  person.Type("\r");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "\r");
  person.Type("~.");
  person.ReadUntil("Connection to lab closed");
  EXPECT_EQ(person.client().Wait().exit_code, 255);
  EXPECT_TRUE(person.IsRestored());
  ExpectTheNextPersonTypes(guest.get());
}

TEST_F(SshTest, TwoTildesAreForTheConsole) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh(Console()));
  person.ReadUntil("to leave");
  person.Type("\r~~?");
  person.ReadUntil("type the escape character");
  person.Type("\r~~.");
  person.ReadUntil("Connection to lab closed");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  EXPECT_TRUE(person.IsRestored());
  EXPECT_EQ(ReadExactly(guest.get(), 2), "\r\r");
}

TEST_F(SshTest, AnotherEscapeCharacterIsTypedOnce) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh(Console("--escape '^]'")));
  person.ReadUntil("^]. to leave");
  person.Type("\r~~.\r\x1d.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  EXPECT_TRUE(person.IsRestored());
  EXPECT_EQ(ReadExactly(guest.get(), 4), "\r~.\r");
}

TEST_F(SshTest, LeavesTheTerminalOverThereAsItWas) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh("PS1='shell> ' exec bash --norc --noediting -i"));
  const auto settings = [&person] {
    person.Type("stty -g\r");
    return person.ReadUntil("shell> ");
  };
  person.ReadUntil("shell> ");
  const std::string before = settings();
  EXPECT_THAT(before, HasSubstr(":"));
  person.Type(Console() + "\r");
  person.ReadUntil("to leave");
  person.Type("\r~~.");
  person.ReadUntil("shell> ");
  EXPECT_EQ(settings(), before);
  person.Type("exit 5\r");
  EXPECT_EQ(person.client().Wait().exit_code, 5);
  EXPECT_TRUE(person.IsRestored());
}

TEST_F(SshTest, WhenSshIsKilledTheConsoleIsFree) {
  const UniqueFd guest = ConnectGuest();
  Person person;
  person.StartSession(Ssh(absl::StrCat("echo pid=$$; exec ", Console())));
  const Process console(person.ReadUntil("to leave"));
  EXPECT_TRUE(console.IsRunning());
  ASSERT_EQ(kill(person.ForegroundJob(), SIGKILL), 0);
  EXPECT_TRUE(console.Ends());
  ExpectTheNextPersonTypes(guest.get());
}

class SshRunTest : public SshTest {
 protected:
  void SetUp() override {
    SshTest::SetUp();
    agent_ = std::make_unique<ChildProcess>(ChildProcess::Start(
        {.argv = {"/usr/bin/setpriv", "--reuid=desk", "--regid=desk",
                  "--clear-groups", "/usr/bin/vmsilo-agent", "--listen",
                  absl::StrCat("unix:", dir_.Path("command"))}}));
    const auto wait = RunProcess({Runfile("prepare/vmsilo-prepare"), "wait",
                                  "--socket", dir_.Path("command")});
    ASSERT_EQ(wait.exit_code, 0) << wait.err;
  }

  // Has a shell in the guest run `script`.
  std::vector<std::string> SshRun(absl::string_view script) {
    return Ssh(absl::StrCat("vmsilo run --tty --socket ", dir_.Path("command"),
                            " work -- sh -c ", ShellQuoted(script)));
  }

  std::unique_ptr<ChildProcess> agent_;
};

TEST_F(SshRunTest, IsTheGuestsTerminal) {
  Person person;
  person.StartSession(
      SshRun("trap 'stty size' WINCH; trap 'echo interrupted' INT; "
             "stty size; echo ready; "
             // A signal may end it.
             "while ! read line; do :; done; echo \"<$line>\"; exit 7"));
  EXPECT_THAT(person.ReadUntil("ready"), HasSubstr("30 100"));
  EXPECT_TRUE(person.IsRaw());
  person.Resize(43, 132);
  person.ReadUntil("43 132");
  person.Type("\x03");
  person.ReadUntil("interrupted");
  person.Type("gr\xc3\xbc\xc3\x9f dich\r");
  person.ReadUntil("<gr\xc3\xbc\xc3\x9f dich>");
  EXPECT_EQ(person.client().Wait().exit_code, 7);
  EXPECT_TRUE(person.IsRestored());
}

TEST_F(SshRunTest, WhenSshIsKilledTheCommandEnds) {
  Person person;
  person.StartSession(SshRun("echo pid=$$; echo ready; exec cat"));
  const Process command(person.ReadUntil("ready"));
  EXPECT_TRUE(command.IsRunning());
  ASSERT_EQ(kill(person.ForegroundJob(), SIGKILL), 0);
  EXPECT_TRUE(command.Ends());
}

}  // namespace
}  // namespace vmsilo
