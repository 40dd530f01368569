// The shipped program, with its sandbox on, between a hypervisor that the test
// plays and the people at the console.

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/notify_socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "console/limits.h"
#include "console/message.h"
#include "console/testing/viewer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::console_relay {
namespace {

using console::AskStatus;
using console::AttachViewer;
using console::ReceiveOutput;
using console::ReceivePacket;
using console::SendPacket;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::StartsWith;

class RelayTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Nor has the relay of a silo this privilege, which opens every terminal.
    ASSERT_TRUE(geteuid() != 0 || prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) == 0);
  }

  ChildProcess Start(std::vector<std::string> more = {}) {
    return StartWith({}, {}, std::move(more));
  }

  // With descriptors, as the service manager hands them over.
  ChildProcess StartWith(const std::vector<std::string>& names,
                         const std::map<int, int>& fds,
                         std::vector<std::string> more = {}) {
    std::vector<std::string> argv = {
        // The process that gets the descriptors is named by its number.
        "/bin/sh",
        "-c",
        "LISTEN_PID=$$ exec \"$0\" \"$@\"",
        Runfile("console-relay/vmsilo-console-relay"),
        "--backend",
        dir_.Path("backend"),
        "--pty",
        dir_.Path("console"),
        "--viewers",
        dir_.Path("viewers"),
        "--log-level",
        "debug"};
    argv.insert(argv.end(), more.begin(), more.end());
    std::map<std::string, std::string> environment = {
        {"NOTIFY_SOCKET", manager_.path()}};
    if (!fds.empty()) {
      environment["LISTEN_FDS"] = absl::StrCat(names.size());
      environment["LISTEN_FDNAMES"] = absl::StrJoin(names, ":");
    }
    ChildProcess relay = ChildProcess::Start(
        {.argv = argv, .environment = environment, .fds = fds});
    manager_.WaitFor("READY=1");
    return relay;
  }

  // With what predecessors had stored, as systemd does it: LISTEN_FDS and the
  // names, from descriptor 3 on.
  ChildProcess StartSuccessor() {
    manager_.TakeAll();
    std::vector<std::string> names;
    std::map<int, int> fds;
    for (const auto& [name, fd] : manager_.stored()) {
      fds[3 + static_cast<int>(names.size())] = fd.get();
      names.push_back(name);
    }
    return StartWith(names, fds);
  }

  UniqueFd ConnectBackend() {
    manager_.TakeAll();
    absl::StatusOr<UniqueFd> guest = ConnectUnix(dir_.Path("backend"));
    EXPECT_THAT(guest, IsOk());
    return *std::move(guest);
  }

  UniqueFd OpenTerminal() {
    manager_.TakeAll();
    absl::StatusOr<UniqueFd> terminal =
        Open(dir_.Path("console"), O_RDWR | O_NOCTTY);
    EXPECT_THAT(terminal, IsOk());
    return *std::move(terminal);
  }

  UniqueFd ConnectViewer() {
    return console::ConnectViewer(dir_.Path("viewers"));
  }

  TempDir dir_;
  NotifySocket manager_{dir_.Path("notify")};
};

void Type(const UniqueFd& terminal, absl::string_view bytes) {
  EXPECT_THAT(WriteAll(terminal.get(), bytes), IsOk());
}

TEST_F(RelayTest, CarriesBothDirections) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  const UniqueFd terminal = OpenTerminal();
  SendAll(guest.get(), "login: ");
  EXPECT_EQ(ReadExactly(terminal.get(), 7), "login: ");
  Type(terminal, "root\r");
  EXPECT_EQ(ReadExactly(guest.get(), 5), "root\r");
}

TEST_F(RelayTest, TheLineIsTransparent) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  const UniqueFd terminal = OpenTerminal();
  std::string every_byte(256, '\0');
  for (int i = 0; i < 256; ++i) every_byte[i] = static_cast<char>(i);
  SendAll(guest.get(), every_byte);
  EXPECT_EQ(ReadExactly(terminal.get(), 256), every_byte);
  Type(terminal, every_byte);
  EXPECT_EQ(ReadExactly(guest.get(), 256), every_byte);
}

TEST_F(RelayTest, ShowsTheScrollbackToWhoeverComes) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  SendAll(guest.get(), "before anybody looked");
  for (int visit = 0; visit < 3; ++visit) {
    const UniqueFd terminal = OpenTerminal();
    EXPECT_EQ(ReadExactly(terminal.get(), 21), "before anybody looked");
  }
}

TEST_F(RelayTest, TheTerminalIsRawAgainForTheNextUser) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  SendAll(guest.get(), "hello\n");
  {
    const UniqueFd terminal = OpenTerminal();
    EXPECT_EQ(ReadExactly(terminal.get(), 6), "hello\n");
    termios cooked = {};
    ASSERT_EQ(tcgetattr(terminal.get(), &cooked), 0);
    cooked.c_lflag |= ICANON | ECHO;
    ASSERT_EQ(tcsetattr(terminal.get(), TCSANOW, &cooked), 0);
  }
  manager_.WaitFor("STATUS=Virtual machine connected");
  const UniqueFd terminal = OpenTerminal();
  EXPECT_EQ(ReadExactly(terminal.get(), 6), "hello\n");
  termios settings = {};
  ASSERT_EQ(tcgetattr(terminal.get(), &settings), 0);
  EXPECT_EQ(settings.c_lflag & (ICANON | ECHO), 0u);
}

TEST_F(RelayTest, TheTerminalIsFreeAgainForTheNextUser) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  {
    const UniqueFd terminal = OpenTerminal();
    manager_.WaitFor("terminal open");
    ASSERT_EQ(ioctl(terminal.get(), TIOCEXCL), 0);
    ASSERT_EQ(tcflow(terminal.get(), TCOOFF), 0);
  }
  manager_.WaitFor("STATUS=Virtual machine connected");
  const UniqueFd terminal = OpenTerminal();
  int is_exclusive = -1;
  ASSERT_EQ(ioctl(terminal.get(), TIOCGEXCL, &is_exclusive), 0);
  EXPECT_EQ(is_exclusive, 0);
  Type(terminal, "not stopped");
  EXPECT_EQ(ReadExactly(guest.get(), 11), "not stopped");
}

// The kernel tells of two users who come or go in a row as of one, unless that
// has been read in between.
TEST_F(RelayTest, UsersWhoComeOrGoTogetherAreAllSeen) {
  ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  SendAll(guest.get(), "hello");
  relay.Signal(SIGSTOP);
  UniqueFd first = OpenTerminal();
  UniqueFd second = OpenTerminal();
  relay.Signal(SIGCONT);
  EXPECT_EQ(ReadExactly(first.get(), 5), "hello");
  first.Reset();
  manager_.WaitFor("STATUS=Virtual machine connected");
  manager_.WaitFor("terminal open");
  EXPECT_EQ(ReadExactly(second.get(), 5), "hello");

  UniqueFd third = OpenTerminal();
  SendAll(guest.get(), " you");
  EXPECT_EQ(ReadExactly(third.get(), 4), " you");
  relay.Signal(SIGSTOP);
  second.Reset();
  third.Reset();
  relay.Signal(SIGCONT);
  while (AskStatus(ConnectViewer()).is_terminal_open) manager_.TakeAll();
  EXPECT_EQ(ReadExactly(OpenTerminal().get(), 9), "hello you");
}

TEST_F(RelayTest, TheLinkIsPrivateAndGoesAway) {
  {
    ChildProcess relay = Start();
    struct stat info = {};
    ASSERT_EQ(lstat(dir_.Path("console").c_str(), &info), 0);
    EXPECT_TRUE(S_ISLNK(info.st_mode));
    ASSERT_EQ(stat(dir_.Path("console").c_str(), &info), 0);
    EXPECT_TRUE(S_ISCHR(info.st_mode));
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    for (const char* name : {"backend", "viewers"}) {
      ASSERT_EQ(stat(dir_.Path(name).c_str(), &info), 0);
      EXPECT_EQ(info.st_mode & 07777, 0600u) << name;
    }
    relay.Signal(SIGTERM);
    EXPECT_EQ(relay.Wait().exit_code, 0);
  }
  for (const char* name : {"console", "console.new", "backend", "viewers"}) {
    EXPECT_NE(access(dir_.Path(name).c_str(), F_OK), 0) << name;
  }
}

TEST_F(RelayTest, TheLinkIsMadeWhereItIsSaidAndNowhereElse) {
  const std::string precious = dir_.Write("precious", "precious");
  // Who could write to the directory left these.
  for (const char* name : {"console", "console.new"}) {
    ASSERT_EQ(symlink(precious.c_str(), dir_.Path(name).c_str()), 0);
  }
  {
    const ChildProcess relay = Start();
    const UniqueFd guest = ConnectBackend();
    const UniqueFd terminal = OpenTerminal();
    SendAll(guest.get(), "hello");
    EXPECT_EQ(ReadExactly(terminal.get(), 5), "hello");
  }
  EXPECT_THAT(ReadFile(precious, 100), IsOkAndHolds("precious"));

  ASSERT_EQ(mkdir(dir_.Path("real").c_str(), 0700), 0);
  ASSERT_EQ(symlink("real", dir_.Path("linked").c_str()), 0);
  const ChildProcess::Result result =
      RunProcess({Runfile("console-relay/vmsilo-console-relay"), "--backend",
                  dir_.Path("other"), "--pty", dir_.Path("linked/console")});
  EXPECT_EQ(result.exit_code, 71);
  EXPECT_THAT(result.err, HasSubstr("linked"));
  EXPECT_NE(access(dir_.Path("real/console").c_str(), F_OK), 0);
}

TEST_F(RelayTest, NobodyNoticesThatTheGuestRestarts) {
  const ChildProcess relay = Start();
  const UniqueFd terminal = OpenTerminal();
  for (int boot = 0; boot < 20; ++boot) {
    const UniqueFd guest = ConnectBackend();
    const std::string hello = absl::StrCat("boot ", boot, "\n");
    SendAll(guest.get(), hello);
    EXPECT_EQ(ReadExactly(terminal.get(), hello.size()), hello);
    Type(terminal, "x");
    EXPECT_EQ(ReadExactly(guest.get(), 1), "x");
  }
  EXPECT_EQ(AskStatus(ConnectViewer()).guest_connections, 20u);
}

TEST_F(RelayTest, ConnectsToAHypervisorThatComesAndGoesWithItsDirectory) {
  const std::string directory = dir_.Path("vm");
  const std::string socket = absl::StrCat(directory, "/serial");
  const ChildProcess relay =
      StartWith({}, {}, {"--connect", "--backend", socket});
  const UniqueFd terminal = OpenTerminal();
  for (int boot = 0; boot < 3; ++boot) {
    ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
    absl::StatusOr<UniqueFd> listener = ListenUnix(socket, 0600);
    ASSERT_THAT(listener, IsOk());
    const UniqueFd guest = AcceptOne(listener->get());
    SendAll(guest.get(), "hello");
    EXPECT_EQ(ReadExactly(terminal.get(), 5), "hello");
    manager_.TakeAll();
    ASSERT_EQ(unlink(socket.c_str()), 0);
    ASSERT_EQ(rmdir(directory.c_str()), 0);
  }
}

TEST_F(RelayTest, ANewGuestReplacesTheOldOneWhoseLastWordsAreKept) {
  const ChildProcess relay = Start();
  const UniqueFd terminal = OpenTerminal();
  const UniqueFd old_guest = ConnectBackend();
  SendAll(old_guest.get(), "panic\n");
  const UniqueFd new_guest = ConnectBackend();
  SendAll(new_guest.get(), "booting\n");
  EXPECT_EQ(ReadExactly(terminal.get(), 14), "panic\nbooting\n");
  EXPECT_EQ(ReadToEnd(old_guest.get()), "");
}

TEST_F(RelayTest, WhatIsTypedAtAnAbsentGuestIsNotKeptForTheNext) {
  const ChildProcess relay = Start();
  const UniqueFd terminal = OpenTerminal();
  const UniqueFd viewer = ConnectViewer();
  Type(terminal, "rm -rf /\r");
  while (AskStatus(viewer).to_guest_lost < 9) {
  }
  const UniqueFd guest = ConnectBackend();
  manager_.WaitFor("STATUS=Virtual machine connected");
  Type(terminal, "ls\r");
  EXPECT_EQ(ReadExactly(guest.get(), 3), "ls\r");
}

TEST_F(RelayTest, AFloodThatNobodyReadsNeverBlocksTheGuest) {
  const ChildProcess relay = Start({"--scrollback", "64K"});
  const UniqueFd guest = ConnectBackend();
  const std::string block(64 * 1024, 'x');
  for (int i = 0; i < 512; ++i) SendAll(guest.get(), block);
  SendAll(guest.get(), "the end");
  const UniqueFd viewer = ConnectViewer();
  while (AskStatus(viewer).from_guest < 512 * block.size() + 7) {
  }
  EXPECT_EQ(AskStatus(viewer).terminal_lost, 0u);  // nobody was there
  const UniqueFd terminal = OpenTerminal();
  EXPECT_THAT(ReadExactly(terminal.get(), 64 * 1024), EndsWith("xthe end"));
}

// Sanitizers have more.
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kFewKilobytes = 65536;
#else
constexpr uint64_t kFewKilobytes = 512;
#endif

TEST_F(RelayTest, PeopleWhoDoNotReadAFloodCostNoMemory) {
  const ChildProcess relay = Start({"--scrollback", "64K"});
  const UniqueFd guest = ConnectBackend();
  const UniqueFd terminal = OpenTerminal();
  SendAll(guest.get(), "hello");
  EXPECT_EQ(ReadExactly(terminal.get(), 5), "hello");
  std::vector<UniqueFd> viewers;
  while (viewers.size() < console::kMaxViewers - 1) {
    viewers.push_back(ConnectViewer());
    AttachViewer(viewers.back(), {});
  }
  const UniqueFd asker = ConnectViewer();
  AskStatus(asker);
  const uint64_t before = PrivateKilobytes(relay.pid());
  const std::string block(64 * 1024, 'x');
  for (int i = 0; i < 512; ++i) SendAll(guest.get(), block);
  while (AskStatus(asker).from_guest < 512 * block.size()) {
  }
  EXPECT_LT(PrivateKilobytes(relay.pid()), before + kFewKilobytes);
  EXPECT_EQ(AskStatus(asker).viewers, viewers.size());
}

TEST_F(RelayTest, AUserWhoDoesNotReadLosesBytesAndDoesNotBlockTheGuest) {
  const ChildProcess relay = Start({"--scrollback", "64K"});
  const UniqueFd guest = ConnectBackend();
  const UniqueFd terminal = OpenTerminal();
  // What comes before they have seen anything is not theirs to lose.
  SendAll(guest.get(), "hello");
  EXPECT_EQ(ReadExactly(terminal.get(), 5), "hello");
  const std::string block(64 * 1024, 'x');
  for (int i = 0; i < 64; ++i) SendAll(guest.get(), block);
  const UniqueFd viewer = ConnectViewer();
  while (AskStatus(viewer).from_guest < 64 * block.size()) {
  }
  const console::Status status = AskStatus(viewer);
  EXPECT_TRUE(status.is_terminal_open);
  EXPECT_GT(status.terminal_lost, 60 * block.size());
}

TEST_F(RelayTest, ViewersSeeTheScrollbackAndWhatComes) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  SendAll(guest.get(), "old ");
  const UniqueFd viewer = ConnectViewer();
  const console::Attached attached = AttachViewer(viewer, {});
  EXPECT_EQ(attached.role, console::Role::kObserver);
  EXPECT_EQ(attached.position, 0u);
  SendAll(guest.get(), "new");
  EXPECT_EQ(ReceiveOutput(viewer, 7), "old new");
}

TEST_F(RelayTest, AViewerGoesOnWhereItWas) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  SendAll(guest.get(), "0123456789");
  uint64_t epoch = 0;
  {
    const UniqueFd viewer = ConnectViewer();
    epoch = AttachViewer(viewer, {}).epoch;
    EXPECT_EQ(ReceiveOutput(viewer, 10), "0123456789");
  }
  const UniqueFd viewer = ConnectViewer();
  EXPECT_EQ(
      AttachViewer(viewer, {.resumes = true, .epoch = epoch, .position = 7})
          .position,
      7u);
  EXPECT_EQ(ReceiveOutput(viewer, 3), "789");
  // Positions of another scrollback mean nothing.
  const UniqueFd other = ConnectViewer();
  EXPECT_EQ(
      AttachViewer(other, {.resumes = true, .epoch = epoch + 1, .position = 7})
          .position,
      0u);
}

TEST_F(RelayTest, OneViewerTypesAndOthersWatch) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  const UniqueFd writer = ConnectViewer();
  AttachViewer(writer, {.role = console::Role::kWriter});
  const UniqueFd observer = ConnectViewer();
  AttachViewer(observer, {});
  SendPacket(observer, console::Input{.bytes = "not me"});
  // Ordered by the answer: the relay has seen the observer's input.
  EXPECT_EQ(AskStatus(observer).viewers, 2u);
  SendPacket(writer, console::Input{.bytes = "me"});
  EXPECT_EQ(ReadExactly(guest.get(), 2), "me");

  const UniqueFd second = ConnectViewer();
  SendPacket(second, console::Attach{.role = console::Role::kWriter});
  absl::StatusOr<console::FromRelay> refusal = ReceivePacket(second);
  ASSERT_THAT(refusal, IsOk());
  ASSERT_TRUE(std::holds_alternative<console::Error>(*refusal));
  EXPECT_EQ(std::get<console::Error>(*refusal).code,
            static_cast<uint16_t>(console::ErrorCode::kHasWriter));

  const UniqueFd third = ConnectViewer();
  AttachViewer(third, {.role = console::Role::kWriter, .takes_over = true});
  EXPECT_THAT(ReceivePacket(writer),
              IsOkAndHolds(console::FromRelay(
                  console::RoleChange{.role = console::Role::kObserver})));
  SendPacket(writer, console::Input{.bytes = "still me?"});
  EXPECT_TRUE(AskStatus(writer).has_writer);
  SendPacket(third, console::Input{.bytes = "now me"});
  EXPECT_EQ(ReadExactly(guest.get(), 6), "now me");
}

TEST_F(RelayTest, ViewersAreToldWhenTheGuestComesAndGoesInOrder) {
  const ChildProcess relay = Start();
  const UniqueFd viewer = ConnectViewer();
  EXPECT_FALSE(AttachViewer(viewer, {}).has_guest);
  {
    const UniqueFd guest = ConnectBackend();
    EXPECT_THAT(
        ReceivePacket(viewer),
        IsOkAndHolds(console::FromRelay(console::Guest{.is_connected = true})));
    SendAll(guest.get(), "last words");
  }
  EXPECT_EQ(ReceiveOutput(viewer, 10), "last words");
  EXPECT_THAT(
      ReceivePacket(viewer),
      IsOkAndHolds(console::FromRelay(console::Guest{.is_connected = false})));
}

TEST_F(RelayTest, ASlowViewerIsToldWhatItMissed) {
  const ChildProcess relay = Start({"--scrollback", "64K"});
  const UniqueFd guest = ConnectBackend();
  const UniqueFd slow = ConnectViewer();
  AttachViewer(slow, {});
  std::string sent;
  for (int i = 0; i < 4096; ++i) {
    const std::string block = absl::StrCat(i, std::string(1000, '.'), "\n");
    SendAll(guest.get(), block);
    sent += block;
  }
  const UniqueFd other = ConnectViewer();
  while (AskStatus(other).from_guest < sent.size()) {
  }
  uint64_t position = 0;
  bool has_lost = false;
  while (position < sent.size()) {
    const absl::StatusOr<console::FromRelay> message = ReceivePacket(slow);
    ASSERT_THAT(message, IsOk());
    if (const auto* output = std::get_if<console::Output>(&*message)) {
      ASSERT_EQ(output->position, position);
      ASSERT_TRUE(output->bytes == absl::string_view(sent).substr(
                                       position, output->bytes.size()));
      position += output->bytes.size();
    } else if (const auto* lost = std::get_if<console::Lost>(&*message)) {
      ASSERT_EQ(lost->from, position);
      position = lost->to;
      has_lost = true;
    }
  }
  EXPECT_TRUE(has_lost);
}

// As much as everything on the way takes while the guest takes nothing; the
// writer is non-blocking.
std::string TypeUntilFull(const UniqueFd& writer) {
  std::string typed;
  for (int line = 0;; ++line) {
    const std::string bytes(console::kMaxInputBytes,
                            static_cast<char>('a' + line % 26));
    const std::string packet = console::Encode(console::Input{.bytes = bytes});
    pollfd waiting = {.fd = writer.get(), .events = POLLOUT, .revents = 0};
    // The relay takes what it can take within this time, or the typing is
    // shorter than it might be.
    if (poll(&waiting, 1, 200) != 1 ||
        send(writer.get(), packet.data(), packet.size(),
             MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
      return typed;
    }
    typed += bytes;
  }
}

TEST_F(RelayTest, APasteThatIsTooMuchForTheGuestComesOnceAndInOrder) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  const UniqueFd writer = ConnectViewer();
  AttachViewer(writer, {.role = console::Role::kWriter});
  const std::string typed = TypeUntilFull(writer);
  EXPECT_EQ(ReadExactly(guest.get(), typed.size()), typed);
  SendPacket(writer, console::Input{.bytes = "end"});
  EXPECT_EQ(ReadExactly(guest.get(), 3), "end");
}

TEST_F(RelayTest, WhatAViewerTypedBeforeItLeftStillCounts) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  UniqueFd writer = ConnectViewer();
  AttachViewer(writer, {.role = console::Role::kWriter});
  const std::string typed = TypeUntilFull(writer);
  // It leaves without reading this, and the relay cannot send it any more.
  SendAll(guest.get(), "output");
  writer.Reset();
  SendAll(guest.get(), "more output");
  EXPECT_EQ(ReadExactly(guest.get(), typed.size()), typed);
  // It is no writer any more when all it typed has arrived.
  while (AskStatus(ConnectViewer()).has_writer) {
  }
}

TEST_F(RelayTest, WhoTakesOverFromAViewerThatLeftNeedNotWaitForTheGuest) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  UniqueFd writer = ConnectViewer();
  AttachViewer(writer, {.role = console::Role::kWriter});
  (void)TypeUntilFull(writer);
  writer.Reset();
  const UniqueFd other = ConnectViewer();
  AttachViewer(other, {.role = console::Role::kWriter, .takes_over = true});
  EXPECT_EQ(AskStatus(other).viewers, 1u);
}

TEST_F(RelayTest, AViewerThatBreaksTheProtocolIsSentAwayAndNobodyElse) {
  const ChildProcess relay = Start();
  const UniqueFd guest = ConnectBackend();
  const UniqueFd good = ConnectViewer();
  AttachViewer(good, {.role = console::Role::kWriter});
  for (const std::string& packet : std::vector<std::string>{
           "\x7f", std::string("\x01\x00", 2), "\x02",
           "\x02" + std::string(console::kMaxInputBytes + 1, 'x'),
           console::Encode(
               console::FromViewer(console::Attach{.version = 0}))}) {
    const UniqueFd bad = ConnectViewer();
    ASSERT_EQ(send(bad.get(), packet.data(), packet.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(packet.size()));
    const absl::StatusOr<console::FromRelay> answer = ReceivePacket(bad);
    ASSERT_THAT(answer, IsOk());
    EXPECT_TRUE(std::holds_alternative<console::Error>(*answer));
    EXPECT_FALSE(ReceivePacket(bad).ok());
  }
  SendPacket(good, console::Input{.bytes = "fine"});
  EXPECT_EQ(ReadExactly(guest.get(), 4), "fine");
}

TEST_F(RelayTest, TheNumberOfViewersIsBounded) {
  const ChildProcess relay = Start();
  std::vector<UniqueFd> viewers;
  for (size_t i = 0; i < console::kMaxViewers; ++i) {
    viewers.push_back(ConnectViewer());
    AttachViewer(viewers.back(), {});
  }
  const UniqueFd one_too_many = ConnectViewer();
  const absl::StatusOr<console::FromRelay> answer = ReceivePacket(one_too_many);
  ASSERT_THAT(answer, IsOk());
  ASSERT_TRUE(std::holds_alternative<console::Error>(*answer));
  EXPECT_EQ(std::get<console::Error>(*answer).code,
            static_cast<uint16_t>(console::ErrorCode::kBusy));
}

TEST_F(RelayTest, AResizedViewerResizesTheTerminal) {
  const ChildProcess relay = Start();
  const UniqueFd terminal = OpenTerminal();
  const UniqueFd writer = ConnectViewer();
  AttachViewer(writer, {.role = console::Role::kWriter});
  SendPacket(writer, console::WindowSize{.rows = 51, .columns = 133});
  EXPECT_EQ(AskStatus(writer).window_size.rows, 51);
  winsize size = {};
  ASSERT_EQ(ioctl(terminal.get(), TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 51);
  EXPECT_EQ(size.ws_col, 133);
}

TEST_F(RelayTest, TheLogHasEveryByteAndIsRotated) {
  const ChildProcess relay = Start(
      {"--log", dir_.Path("log"), "--log-size", "4K", "--log-files", "2"});
  const UniqueFd guest = ConnectBackend();
  std::string sent;
  for (int i = 0; i < 1500; ++i) absl::StrAppend(&sent, i, "\x1b[31m\n");
  SendAll(guest.get(), sent);
  const UniqueFd viewer = ConnectViewer();
  while (AskStatus(viewer).from_guest < sent.size()) {
  }
  const std::string all = absl::StrCat(*ReadFile(dir_.Path("log.2"), 1 << 20),
                                       *ReadFile(dir_.Path("log.1"), 1 << 20),
                                       *ReadFile(dir_.Path("log"), 1 << 20));
  EXPECT_EQ(ReadFile(dir_.Path("log.2"), 1 << 20)->size(), 4096u);
  EXPECT_TRUE(absl::EndsWith(sent, all));
  EXPECT_NE(access(dir_.Path("log.3").c_str(), F_OK), 0);
  struct stat info = {};
  ASSERT_EQ(stat(dir_.Path("log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(RelayTest, ALogThatCannotBeWrittenHoldsUpNobodyAndGoesOnWithAGap) {
  ASSERT_EQ(mkdir(dir_.Path("log").c_str(), 0700), 0);
  ChildProcess relay = Start({"--log", dir_.Path("log"), "--scrollback", "4K"});
  relay.ReadStderrUntil("trying again until it works");
  const UniqueFd guest = ConnectBackend();
  const UniqueFd viewer = ConnectViewer();
  AttachViewer(viewer, {});
  std::string sent;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = absl::StrCat("line ", i, "\n");
    SendAll(guest.get(), line);
    EXPECT_EQ(ReceiveOutput(viewer, line.size()), line);
    sent += line;
  }
  EXPECT_EQ(AskStatus(ConnectViewer()).log_lost, sent.size() - 4096);
  ASSERT_EQ(rmdir(dir_.Path("log").c_str()), 0);
  EXPECT_THAT(
      relay.ReadStderrUntil("missing in it"),
      HasSubstr(absl::StrCat("it goes on, ", sent.size() - 4096, " bytes")));
  EXPECT_THAT(ReadFile(dir_.Path("log"), 1 << 20),
              IsOkAndHolds(sent.substr(sent.size() - 4096)));
  EXPECT_EQ(AskStatus(ConnectViewer()).log_lost, sent.size() - 4096);
  relay.Signal(SIGTERM);
  const std::string said = relay.Wait().err;
  EXPECT_EQ(said.find("trying again"), said.rfind("trying again"));
}

TEST_F(RelayTest, ALogWithTimestampsSaysWhereBytesAreMissing) {
  ASSERT_EQ(mkdir(dir_.Path("log").c_str(), 0700), 0);
  ChildProcess relay = Start(
      {"--log", dir_.Path("log"), "--log-timestamps", "--scrollback", "4K"});
  relay.ReadStderrUntil("trying again until it works");
  const UniqueFd guest = ConnectBackend();
  SendAll(guest.get(), std::string(5000, 'x'));
  const UniqueFd viewer = ConnectViewer();
  while (AskStatus(viewer).from_guest < 5000) {
  }
  ASSERT_EQ(rmdir(dir_.Path("log").c_str()), 0);
  relay.ReadStderrUntil("missing in it");
  EXPECT_THAT(ReadFile(dir_.Path("log"), 1 << 20),
              IsOkAndHolds(ContainsRegex(
                  "^\\[[^]]+\\] -- 904 bytes are missing here --\n"
                  "\\[[^]]+\\] x+$")));
}

TEST_F(RelayTest, ALogThatWasRemovedIsMadeAgain) {
  ASSERT_EQ(mkdir(dir_.Path("logs").c_str(), 0700), 0);
  ChildProcess relay = Start({"--log", dir_.Path("logs/log")});
  const UniqueFd guest = ConnectBackend();
  const UniqueFd viewer = ConnectViewer();
  AttachViewer(viewer, {});
  for (const char* text : {"one", "two", "six"}) {
    SendAll(guest.get(), text);
    EXPECT_EQ(ReceiveOutput(viewer, 3), text);
    EXPECT_THAT(ReadFile(dir_.Path("logs/log"), 100), IsOkAndHolds(text));
    ASSERT_EQ(unlink(dir_.Path("logs/log").c_str()), 0);
  }
  ASSERT_EQ(rmdir(dir_.Path("logs").c_str()), 0);
  SendAll(guest.get(), "end");
  EXPECT_EQ(ReceiveOutput(viewer, 3), "end");
  relay.ReadStderrUntil("trying again until it works");
}

TEST_F(RelayTest, GuestsThatComeAndGoDoNotFloodTheJournal) {
  ChildProcess relay = Start();
  const UniqueFd viewer = ConnectViewer();
  for (uint64_t boot = 1; boot <= 50; ++boot) {
    const UniqueFd guest = ConnectBackend();
    while (AskStatus(viewer).guest_connections < boot) manager_.TakeAll();
  }
  relay.Signal(SIGTERM);
  const std::string said = relay.Wait().err;
  EXPECT_THAT(said, HasSubstr("the virtual machine is connected"));
  EXPECT_THAT(said, HasSubstr("the virtual machine is gone"));
  const std::vector<std::string> pieces =
      absl::StrSplit(said, "the virtual machine is ");
  EXPECT_LE(pieces.size(), 1u + 12);
}

TEST_F(RelayTest, WhoeverComesWhenThereAreNoDescriptorsLeftIsTakenLater) {
  ChildProcess relay = Start();
  rlimit before = {};
  ASSERT_EQ(prlimit(relay.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(prlimit(relay.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  const UniqueFd guest = ConnectBackend();
  relay.ReadStderrUntil("machine's connection: ");
  const UniqueFd viewer = ConnectViewer();
  relay.ReadStderrUntil("cannot take a viewer: ");
  ASSERT_EQ(prlimit(relay.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  AttachViewer(viewer, {});
  SendAll(guest.get(), "hello");
  EXPECT_EQ(ReceiveOutput(viewer, 5), "hello");
  relay.Signal(SIGTERM);
  const std::string said = relay.Wait().err;
  for (const char* words : {"machine's connection: ", "take a viewer: "}) {
    EXPECT_EQ(said.find(words), said.rfind(words)) << said;
  }
}

TEST_F(RelayTest, ASuccessorGoesOnWithoutLosingAByte) {
  std::optional<ChildProcess> relay = Start();
  const UniqueFd guest = ConnectBackend();
  manager_.WaitFor("FDNAME=guest");
  const UniqueFd terminal = OpenTerminal();
  SendAll(guest.get(), "one ");
  EXPECT_EQ(ReadExactly(terminal.get(), 4), "one ");
  for (int death = 0; death < 5; ++death) {
    relay->Signal(SIGKILL);
    EXPECT_EQ(relay->Wait().signal, SIGKILL);
    SendAll(guest.get(), "while nobody is there ");
    Type(terminal, "typed ");
    EXPECT_THAT(manager_.stored(),
                ElementsAre(Key("guest"), Key("input-read"), Key("input-write"),
                            Key("own-backend"), Key("own-viewers"), Key("ring"),
                            Key("terminal"), Key("terminal-node")));
    relay.emplace(StartSuccessor());
    EXPECT_EQ(ReadExactly(terminal.get(), 22), "while nobody is there ");
    EXPECT_EQ(ReadExactly(guest.get(), 6), "typed ");
  }
  const console::Status status = AskStatus(ConnectViewer());
  EXPECT_TRUE(status.has_guest);
  EXPECT_TRUE(status.is_terminal_open);
  EXPECT_EQ(status.guest_connections, 1u);
  EXPECT_EQ(status.to_guest, 30u);
  EXPECT_EQ(status.terminal_lost, 0u);
}

TEST_F(RelayTest, AUserWhoClaimsTheTerminalKeepsItWhenTheRelayIsKilled) {
  std::optional<ChildProcess> relay = Start();
  const UniqueFd guest = ConnectBackend();
  manager_.WaitFor("FDNAME=guest");
  UniqueFd terminal = OpenTerminal();
  manager_.WaitFor("terminal open");
  ASSERT_EQ(ioctl(terminal.get(), TIOCEXCL), 0);
  for (int death = 0; death < 2; ++death) {
    relay->Signal(SIGKILL);
    EXPECT_EQ(relay->Wait().signal, SIGKILL);
    relay.emplace(StartSuccessor());
    SendAll(guest.get(), "still here");
    EXPECT_EQ(ReadExactly(terminal.get(), 10), "still here");
    Type(terminal, "yes");
    EXPECT_EQ(ReadExactly(guest.get(), 3), "yes");
  }
  EXPECT_TRUE(AskStatus(ConnectViewer()).is_terminal_open);
  // Nobody can open it any more then, the relay included.
  terminal.Reset();
  manager_.TakeAll();
  const ChildProcess::Result result = relay->Wait();
  EXPECT_EQ(result.exit_code, 71);  // and is started again
  EXPECT_THAT(result.err, HasSubstr("left it exclusive"));
  relay.emplace(StartSuccessor());
  EXPECT_EQ(ReadExactly(OpenTerminal().get(), 20), "still herestill here");
  EXPECT_TRUE(AskStatus(ConnectViewer()).has_guest);
}

TEST_F(RelayTest, AClaimThatIsGivenUpLeavesTheTerminalUsable) {
  std::optional<ChildProcess> relay = Start();
  const UniqueFd guest = ConnectBackend();
  manager_.WaitFor("FDNAME=guest");
  UniqueFd terminal = OpenTerminal();
  manager_.WaitFor("terminal open");
  ASSERT_EQ(ioctl(terminal.get(), TIOCEXCL), 0);
  relay->Signal(SIGKILL);
  EXPECT_EQ(relay->Wait().signal, SIGKILL);
  relay.emplace(StartSuccessor());
  ASSERT_EQ(ioctl(terminal.get(), TIOCNXCL), 0);
  SendAll(guest.get(), "hello");
  terminal.Reset();
  manager_.WaitFor("STATUS=Virtual machine connected");
  const UniqueFd next = OpenTerminal();
  EXPECT_EQ(ReadExactly(next.get(), 5), "hello");
  Type(next, "hello");
  EXPECT_EQ(ReadExactly(guest.get(), 5), "hello");
}

TEST(RelayUsageTest, SaysWhatIsMissing) {
  const std::string program = Runfile("console-relay/vmsilo-console-relay");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"--backend", "/tmp/x"},
           {"--backend", std::string(200, 'x'), "--pty", "/tmp/x"},
           {"--backend", "x", "--pty", "y", "--mode", "0999"},
           {"--backend", "x", "--pty", "y", "--owner", "-1"},
           {"--backend", "x", "--pty", "y", "--scrollback", "1"}}) {
    std::vector<std::string> argv = {program};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const ChildProcess::Result result = RunProcess(argv);
    EXPECT_EQ(result.exit_code, 64);
    EXPECT_THAT(result.err, StartsWith("vmsilo-console-relay: "));
  }
}

TEST(RelayUsageTest, DoesNotReplaceWhatIsNoLink) {
  TempDir dir;
  dir.Write("console", "precious");
  const ChildProcess::Result result =
      RunProcess({Runfile("console-relay/vmsilo-console-relay"), "--backend",
                  dir.Path("backend"), "--pty", dir.Path("console")});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("not a symbolic link"));
  EXPECT_THAT(ReadFile(dir.Path("console"), 100), IsOkAndHolds("precious"));
}

}  // namespace
}  // namespace vmsilo::console_relay
