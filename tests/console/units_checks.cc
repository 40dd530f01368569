// The relay in its unit as vmsilo-unitgen writes it, under a real systemd,
// which keeps its descriptors. The hypervisor's process is fake_peer, and its
// serial line is the test. Runs in a lab container.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "console/message.h"
#include "console/testing/viewer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/silo/shell.h"

namespace vmsilo::lab {
namespace {

constexpr char kRelay[] = "vmsilo-work-console-relay.service";
constexpr char kVm[] = "vmsilo-work-vm.service";
constexpr char kRelaySocket[] = "vmsilo-work-console-relay.socket";
constexpr char kDropIn[] =
    "/run/systemd/system/vmsilo-work-console-relay.service.d";
constexpr char kTerminal[] = "/run/vmsilo/work/console";
constexpr char kBackend[] = "/run/vmsilo/work/console-backend.socket";
constexpr char kLogs[] = "/var/log/vmsilo/work/console";
constexpr char kViewers[] = "/run/vmsilo/work/console.d/viewers.socket";

std::string Property(absl::string_view unit, absl::string_view name) {
  return Answer(absl::StrCat("systemctl show --value -p ", name, " ", unit));
}

// All of the silo's log, the oldest file first.
std::string Logs() {
  std::string logs;
  for (int number = 9; number >= 0; --number) {
    const std::string path = absl::StrCat(
        kLogs, "/console.log", number > 0 ? absl::StrCat(".", number) : "");
    absl::StrAppend(&logs, ReadFile(path, 1 << 20).value_or(""));
  }
  return logs;
}

// Lines with numbers, so that any byte that is missing or doubled shows.
std::string NumberedLines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    absl::StrAppendFormat(&lines, "%07d line\n", i);
  }
  return lines;
}

class RelayUnitTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(Succeeds(
        // Terminals as on a host: a container has /dev/ptmx lead into
        // /dev/pts, which hides what differs in a unit's own /dev.
        "rm /dev/ptmx && mknod -m 666 /dev/ptmx c 5 2 && "
        "mount -o remount,ptmxmode=000,mode=620,gid=5 /dev/pts && "
        "install -D tests/peers/fake_peer /opt/peers/crosvm && "
        "install cli/vmsilo proxy/vmsilo-proxy "
        "console-relay/vmsilo-console-relay unitgen/vmsilo-unitgen /usr/bin && "
        "install -D prepare/vmsilo-prepare "
        "/usr/libexec/vmsilo/vmsilo-prepare && touch /srv/kernel && "
        "install -D -m 644 tests/console/silo.toml /etc/vmsilo/vmsilo.toml && "
        "tests/silo/apply"));
  }

  void SetUp() override {
    ASSERT_TRUE(
        Succeeds(absl::StrCat("rm -rf ", kLogs, " && systemctl start ", kVm)));
  }

  void TearDown() override {
    if (HasFailure()) {
      std::cerr
          << Shell("journalctl --no-pager -b -o short-monotonic -n 100").out;
    }
    EXPECT_TRUE(Succeeds(absl::StrCat("systemctl stop ", kVm)));
    EXPECT_TRUE(SucceedsWithin(
        absl::StrCat("test $(systemctl is-active ", kRelay, ") = inactive")));
    EXPECT_TRUE(Succeeds("systemctl reset-failed"));
  }
};

// Between a guest that writes `output` and two who look, of which one types
// `input` at the terminal. Everything in one thread, so that nobody is ever
// further ahead than is allowed.
class Conversation {
 public:
  // Of descriptors, for the time of the conversation.
  Conversation(int guest, int terminal, int client, std::string output,
               std::string input)
      : guest_(guest),
        terminal_(terminal),
        client_(client),
        output_(std::move(output)),
        input_(std::move(input)) {}

  // Less than the scrollback keeps for whoever is late.
  static constexpr size_t kMaxOutputAhead = size_t{256} * 1024;
  // Less than a terminal that nobody reads takes.
  static constexpr size_t kMaxInputAhead = 1024;

  // Goes on until the readers have seen this share of everything; more than
  // that is on its way then.
  void RunUntil(double share) {
    const absl::string_view output = output_;
    const absl::string_view input = input_;
    const auto output_size = static_cast<size_t>(output.size() * share);
    const auto input_size = static_cast<size_t>(input.size() * share);
    while (seen_on_terminal_.size() < output_size ||
           seen_by_client_.size() < output_size ||
           seen_by_guest_.size() < input_size) {
      const size_t slower =
          std::min(seen_on_terminal_.size(), seen_by_client_.size());
      const bool may_write =
          written_ < output.size() && written_ < slower + kMaxOutputAhead;
      const bool may_type = typed_ < input.size() &&
                            typed_ < seen_by_guest_.size() + kMaxInputAhead;
      std::array<pollfd, 3> waiting = {
          {{.fd = guest_,
            .events = static_cast<short>(POLLIN | (may_write ? POLLOUT : 0)),
            .revents = 0},
           {.fd = terminal_,
            .events = static_cast<short>(POLLIN | (may_type ? POLLOUT : 0)),
            .revents = 0},
           {.fd = client_, .events = POLLIN, .revents = 0}}};
      ASSERT_GT(poll(waiting.data(), waiting.size(), 30000), 0)
          << "on the terminal " << seen_on_terminal_.size()
          << ", to the client " << seen_by_client_.size() << " of " << written_
          << "; to the guest " << seen_by_guest_.size() << " of " << typed_;
      if (may_write && (waiting[0].revents & POLLOUT) != 0) {
        Write(guest_, output.substr(0, slower + kMaxOutputAhead), &written_);
      }
      if (may_type && (waiting[1].revents & POLLOUT) != 0) {
        Write(terminal_, input.substr(0, typed_ + 64), &typed_);
      }
      ASSERT_TRUE(Read(waiting[0], &seen_by_guest_)) << "the guest";
      ASSERT_TRUE(Read(waiting[1], &seen_on_terminal_)) << "the terminal";
      ASSERT_TRUE(Read(waiting[2], &seen_by_client_)) << "the client";
    }
  }

  const std::string& output() const { return output_; }
  const std::string& input() const { return input_; }
  const std::string& seen_on_terminal() const { return seen_on_terminal_; }
  const std::string& seen_by_client() const { return seen_by_client_; }
  const std::string& seen_by_guest() const { return seen_by_guest_; }

 private:
  static void Write(int fd, absl::string_view all, size_t* done) {
    const ssize_t size = write(fd, all.data() + *done, all.size() - *done);
    if (size > 0) *done += static_cast<size_t>(size);
  }

  // Whether it may be read again.
  static testing::AssertionResult Read(const pollfd& fd, std::string* seen) {
    if (fd.revents == 0 || fd.revents == POLLOUT) {
      return testing::AssertionSuccess();
    }
    std::array<char, size_t{64} * 1024> bytes;
    const ssize_t size = read(fd.fd, bytes.data(), bytes.size());
    if (size > 0) {
      seen->append(bytes.data(), size);
    } else if (size == 0 || errno != EAGAIN) {
      return testing::AssertionFailure()
             << "reads " << size << ": " << strerror(errno) << ", after "
             << seen->size() << " bytes";
    }
    return testing::AssertionSuccess();
  }

  int guest_;
  int terminal_;
  int client_;
  const std::string output_;
  const std::string input_;
  std::string seen_on_terminal_;
  std::string seen_by_client_;
  std::string seen_by_guest_;
  size_t written_ = 0;
  size_t typed_ = 0;
};

TEST_F(RelayUnitTest, NobodyNoticesThatTheRelayIsKilledOrRestarted) {
  const std::string vm = Property(kVm, "InvocationID");
  // In the place of the one that fake_peer made.
  absl::StatusOr<UniqueFd> guest = ConnectUnix(kBackend);
  ASSERT_THAT(guest, IsOk());
  const absl::StatusOr<UniqueFd> terminal =
      Open(kTerminal, O_RDWR | O_NOCTTY | O_NONBLOCK);
  ASSERT_THAT(terminal, IsOk());
  ChildProcess client = ChildProcess::Start(
      {.argv = {"/usr/bin/setpriv", "--reuid=4200", "--regid=4200",
                "--clear-groups", "/usr/bin/vmsilo", "console", "--read-only",
                "work"}});
  const std::string device = Answer(absl::StrCat("readlink -f ", kTerminal));
  Conversation conversation(guest->get(), terminal->get(), client.stdout_fd(),
                            NumberedLines(400000), NumberedLines(2000));
  const std::string& output = conversation.output();
  const std::string& input = conversation.input();

  // In the middle of it; and what is written and typed while nobody is there
  // is part of it.
  constexpr int kEnds = 8;
  for (int i = 1; i < kEnds; ++i) {
    conversation.RunUntil(static_cast<double>(i) / kEnds);
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_TRUE(Succeeds(
        absl::StrCat(i == 3 ? "systemctl restart "
                            : "systemctl kill --kill-whom=main -s KILL ",
                     kRelay)));
  }
  conversation.RunUntil(1);
  EXPECT_TRUE(conversation.seen_on_terminal() == output);
  EXPECT_TRUE(conversation.seen_by_client() == output);
  EXPECT_TRUE(conversation.seen_by_guest() == input);
  EXPECT_TRUE(Logs() == output);

  EXPECT_EQ(Property(kRelay, "ActiveState"), "active");
  EXPECT_EQ(Answer(absl::StrCat("readlink -f ", kTerminal)), device);
  EXPECT_EQ(Property(kVm, "InvocationID"), vm);
  EXPECT_THAT(Answer(absl::StrCat("journalctl -q -b -o cat -t "
                                  "vmsilo-console-relay -p warning")),
              testing::IsEmpty());
  const console::Status status =
      console::AskStatus(console::ConnectViewer(kViewers));
  EXPECT_TRUE(status.is_terminal_open);
  EXPECT_EQ(status.from_guest, output.size());
  EXPECT_EQ(status.to_guest, input.size());
  EXPECT_EQ(status.to_guest_lost, 0u);
  EXPECT_EQ(status.terminal_lost, 0u);
  EXPECT_EQ(status.guest_connections, 2u);
}

TEST_F(RelayUnitTest, AFullDiskCostsTheLogAGapAndNobodyElseAnything) {
  ASSERT_TRUE(Succeeds(absl::StrCat(
      "systemctl stop ", kVm,
      " && mount -t tmpfs -o size=64k,mode=700,uid=4200,gid=4200 full ", kLogs,
      " && systemctl start ", kVm)));
  ChildProcess journal = ChildProcess::Start(
      {.argv = {"/usr/bin/journalctl", "-q", "-f", "-n", "0", "-o", "cat", "-t",
                "vmsilo-console-relay"}});
  const absl::StatusOr<UniqueFd> guest = ConnectUnix(kBackend);
  ASSERT_THAT(guest, IsOk());
  const UniqueFd viewer = console::ConnectViewer(kViewers);
  console::AttachViewer(viewer, {});
  // Twice the scrollback.
  const std::string output = NumberedLines(160000);
  constexpr size_t kStep = 8000;
  for (size_t i = 0; i < output.size(); i += kStep) {
    SendAll(guest->get(), absl::string_view(output).substr(i, kStep));
    ASSERT_TRUE(console::ReceiveOutput(viewer, kStep) ==
                output.substr(i, kStep));
  }
  EXPECT_THAT(journal.ReadStdoutUntil("trying again until it works"),
              testing::HasSubstr("No space left on device"));
  const UniqueFd asker = console::ConnectViewer(kViewers);
  const uint64_t lost = console::AskStatus(asker).log_lost;
  EXPECT_GT(lost, 0u);

  ASSERT_TRUE(Succeeds(absl::StrCat("mount -o remount,size=16m ", kLogs)));
  const std::string said = journal.ReadStdoutUntil("missing in it");
  EXPECT_THAT(said,
              testing::HasSubstr(absl::StrCat("it goes on, ", lost, " bytes")));
  EXPECT_EQ(console::AskStatus(asker).log_lost, lost);
  const std::string log = Logs();
  ASSERT_EQ(log.size(), output.size() - lost);
  const size_t gap =
      std::mismatch(log.begin(), log.end(), output.begin()).first - log.begin();
  EXPECT_GT(gap, 32768u);
  EXPECT_TRUE(absl::string_view(log).substr(gap) ==
              absl::string_view(output).substr(gap + lost));

  ASSERT_TRUE(
      Succeeds(absl::StrCat("systemctl stop ", kVm, " && umount ", kLogs)));
}

// crosvm's only connection does not fail, and a silo can live without its
// console.
TEST_F(RelayUnitTest, ASiloRunsWithoutItsRelay) {
  ASSERT_TRUE(Succeeds(absl::StrCat(
      "systemctl stop ", kVm, " && mkdir -p ", kDropIn,
      " && printf '[Service]\nExecStart=\nExecStart=/usr/bin/false\n' >",
      kDropIn, "/broken.conf && systemctl daemon-reload && systemctl start ",
      kVm)));
  // The hypervisor's connection has started it for the last time.
  EXPECT_TRUE(SucceedsWithin(
      absl::StrCat("systemctl is-failed ", kRelay, " ", kRelaySocket)));
  EXPECT_EQ(Property(kVm, "ActiveState"), "active");
  EXPECT_EQ(Property(kVm, "NRestarts"), "0");
  EXPECT_THAT(Answer("/usr/bin/vmsilo status work"),
              testing::HasSubstr("its relay does not run"));
  // Mended, the next start has all of it again.
  ASSERT_TRUE(Succeeds(absl::StrCat("rm -r ", kDropIn,
                                    " && systemctl daemon-reload && systemctl "
                                    "reset-failed && systemctl restart ",
                                    kVm)));
  EXPECT_EQ(Property(kRelay, "ActiveState"), "active");
  EXPECT_THAT(Answer("/usr/bin/vmsilo status work"),
              testing::HasSubstr("machine connected, 0 viewers"));
}

TEST_F(RelayUnitTest, AStoppedSiloLeavesNothingBehind) {
  ASSERT_TRUE(Succeeds(absl::StrCat("test -S ", kBackend)));
  ASSERT_TRUE(Succeeds(absl::StrCat("systemctl stop ", kVm)));
  EXPECT_TRUE(SucceedsWithin(
      absl::StrCat("! systemctl is-active ", kRelay, " ", kRelaySocket)));
  EXPECT_TRUE(Succeeds(absl::StrCat(
      "! test -e ", kBackend, " && ! test -e /run/vmsilo/work/console.d")));
}

TEST_F(RelayUnitTest, TheLogIsTheUsersAndIsShownToHim) {
  absl::StatusOr<UniqueFd> guest = ConnectUnix(kBackend);
  ASSERT_THAT(guest, IsOk());
  const UniqueFd viewer = console::ConnectViewer(kViewers);
  console::AttachViewer(viewer, {});
  const std::string output = "\x1b]0;title\alogin: \r\n";
  SendAll(guest->get(), output);
  console::ReceiveOutput(viewer, output.size());
  EXPECT_EQ(Answer(absl::StrCat("stat -c '%U %a' ", kLogs)), "desk 700");
  EXPECT_EQ(Answer("stat -c '%U %a' /var/log/vmsilo/work"), "root 755");
  const Outcome shown = AsDesk("vmsilo console --log work");
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_EQ(shown.out, "login: \r\n");
  EXPECT_EQ(AsDesk("vmsilo console --log --raw work").out, output);
  const Outcome other =
      Shell("setpriv --reuid=nobody --clear-groups vmsilo console --log work");
  EXPECT_EQ(other.status, 77) << other.err;
  EXPECT_THAT(other.err, testing::HasSubstr("for the desktop user and root"));
}

TEST_F(RelayUnitTest, TheVmWaitsUntilTheRelayIsReady) {
  ASSERT_TRUE(Succeeds(absl::StrCat(
      "systemctl stop ", kVm,
      " && mkfifo -m 644 /run/hold && "
      "mkdir -p /run/systemd/system/",
      kRelay,
      ".d && "
      "sed -n \"s|^ExecStart=|[Service]\\nExecStart=\\nExecStart=/bin/sh -c "
      "'cat /run/hold \\&\\& exec \\$\\$0 \\$\\$@' |p\" "
      "/etc/systemd/system/",
      kRelay, " >/run/systemd/system/", kRelay,
      ".d/slow.conf && systemctl daemon-reload && "
      "systemctl start --no-block ",
      kVm)));
  {
    // Opened when the unit's process has opened it, too.
    const absl::StatusOr<UniqueFd> hold = Open("/run/hold", O_WRONLY);
    ASSERT_THAT(hold, IsOk());
    EXPECT_EQ(Property(kRelay, "ActiveState"), "activating");
    EXPECT_EQ(Property(kVm, "ActiveState"), "inactive");
    EXPECT_THAT(Shell(absl::StrCat("test -e ", kViewers)).status, 1);
  }
  EXPECT_TRUE(SucceedsWithin(absl::StrCat("systemctl is-active ", kVm)));
  EXPECT_TRUE(Succeeds(absl::StrCat("test -S ", kBackend, " -a -S ", kViewers,
                                    " -a -c ", kTerminal)));
  EXPECT_TRUE(Succeeds(absl::StrCat("rm -r /run/hold /run/systemd/system/",
                                    kRelay, ".d && systemctl daemon-reload")));
}

}  // namespace
}  // namespace vmsilo::lab
