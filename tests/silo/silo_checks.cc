// A host of silos from nothing: real systemd, our units as they are installed,
// a hypervisor with KVM, and guests with our agent. Runs in a lab machine. The
// cases go on with what the ones before left, in the order in which they stand
// here: each boot of a silo costs ten seconds and more in the emulator.
//
// The hypervisor is QEMU, or what hypervisor_check names in the environment:
// LAB_HYPERVISOR and LAB_HYPERVISOR_PROGRAM, and LAB_VIRTIOFSD.

#include <fcntl.h>
#include <signal.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/testing/terminal.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/silo/shell.h"

namespace vmsilo::lab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// The emulator boots a silo in ten seconds when it has the computer to itself.
constexpr absl::Duration kBoot = absl::Seconds(150);
// What the guest says on its console when its power button is pressed.
constexpr absl::string_view kPowerButton = "acpid: PWRF/00000080";
// The identifier of systemd's message that a unit was started.
constexpr absl::string_view kUnitStarted = "39f53479d3a045ac8e11786248231fbf";

std::string Variable(const char* name, absl::string_view otherwise) {
  const char* value = getenv(name);
  return std::string(value == nullptr ? otherwise : value);
}

// As in `vms.NAME.hypervisor`.
std::string Hypervisor() { return Variable("LAB_HYPERVISOR", "qemu"); }

// Installs programs that hypervisor_check named, and makes the configuration
// say so.
std::string ChangedConfiguration() {
  const std::string hypervisor = Hypervisor();
  const std::string program = Variable("LAB_HYPERVISOR_PROGRAM", "");
  const std::string virtiofsd = Variable("LAB_VIRTIOFSD", "");
  std::string command = absl::StrCat(
      "cp tests/silo/testdata/silos.toml /tmp/silos.toml && sed -i "
      "'s/^hypervisor = .*/hypervisor = \"",
      hypervisor, "\"/' /tmp/silos.toml");
  if (!program.empty()) {
    const std::string key =
        hypervisor == "cloud-hypervisor" ? "cloudHypervisor" : hypervisor;
    absl::StrAppend(&command, " && install ", ShellQuoted(program),
                    " /usr/local/bin/hypervisor && sed -i '/^user =/a paths.",
                    key, " = \"/usr/local/bin/hypervisor\"' /tmp/silos.toml");
  }
  if (!virtiofsd.empty()) {
    absl::StrAppend(
        &command, " && install -d -o desk /srv/data && install ",
        ShellQuoted(virtiofsd),
        " /usr/local/bin/virtiofsd && sed -i -e '/^user =/a paths.virtiofsd = "
        "\"/usr/local/bin/virtiofsd\"' -e '/^.vms.admin.$/a "
        "sharedDirectories.data = \"/srv/data\"' /tmp/silos.toml");
  }
  return command;
}

std::string Property(const std::string& unit, const std::string& name) {
  return Answer(absl::StrCat("systemctl show --value -p ", name, " ", unit));
}

// Names one start of the unit.
std::string Invocation(const std::string& unit) {
  return Property(unit, "InvocationID");
}

int Starts(const std::string& unit) {
  int count = -1;
  EXPECT_TRUE(absl::SimpleAtoi(
      Answer(absl::StrCat("journalctl -q -o cat MESSAGE_ID=", kUnitStarted,
                          " UNIT=", unit, " JOB_RESULT=done | wc -l")),
      &count));
  return count;
}

// Opened before, so that it can be read when the file is gone.
std::string Rest(std::ifstream& file) {
  EXPECT_TRUE(file.is_open());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// `vmsilo` as the desktop user, to be signalled.
ChildProcess StartVmsilo(const std::vector<std::string>& arguments,
                         std::map<int, int> fds = {}) {
  std::vector<std::string> argv = {"/usr/bin/setpriv", "--reuid=4200",
                                   "--regid=4200", "--clear-groups",
                                   "/usr/bin/vmsilo"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return ChildProcess::Start({.argv = std::move(argv), .fds = std::move(fds)});
}

// The silo's terminal, as the desktop user has it in front of them.
ChildProcess OpenConsole() {
  return ChildProcess::Start(
      {.argv = {"/usr/bin/setpriv", "--reuid=4200", "--regid=4200",
                "--clear-groups", "/usr/bin/socat", "-",
                "FILE:/run/vmsilo/admin/console,rawer"}});
}

// Whether the guest's shell answers at `console`, which gets a number that it
// has not seen yet.
testing::AssertionResult IsAnsweredAt(ChildProcess& console) {
  static int number = 1000;
  ++number;
  console.Write(
      absl::StrCat("\r\recho answer-$((", number - 1, " + 1))-ends\r"));
  const std::string answer = absl::StrCat("answer-", number, "-ends");
  const std::string seen = console.ReadStdoutUntil(answer);
  return absl::StrContains(seen, answer)
             ? testing::AssertionSuccess()
             : testing::AssertionFailure() << "no answer on the console";
}

// The numbers of the lines "line NUMBER" in `text`, in order.
std::vector<int> NumbersOfLines(absl::string_view text) {
  std::vector<int> numbers;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    // Behind a shell's prompt, perhaps.
    const size_t start = line.rfind("line ");
    int number = -1;
    if (start != absl::string_view::npos &&
        absl::SimpleAtoi(line.substr(start + strlen("line ")), &number)) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

// The first command since a silo was stopped, as the desktop user. The proxy
// gives a guest a minute, which a busy emulator may not be content with.
Outcome Boot(const std::string& command) {
  const absl::Time end = absl::Now() + kBoot;
  Outcome outcome;
  do {
    outcome = AsDesk(command, kBoot);
  } while ((absl::StrContains(outcome.err, "nobody answers in it") ||
            absl::StrContains(outcome.err, "its agent did not answer")) &&
           absl::Now() < end);
  return outcome;
}

class SiloTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // The lab starts without networkd.
    ASSERT_TRUE(Succeeds(
        "rm -f /etc/systemd/system/systemd-networkd.service && "
        "systemctl daemon-reload && systemctl start systemd-networkd"));
    ASSERT_TRUE(Succeeds(ChangedConfiguration()));
    ASSERT_TRUE(
        Succeeds("install -d /var/lib/vmsilo/images/default && "
                 "install tests/silo/byte_stream /usr/local/bin/ && "
                 "truncate -s 1M /var/lib/vmsilo/images/default/root.img "
                 "/var/lib/vmsilo/data.img && "
                 "tests/silo/install_host /tmp/silos.toml",
                 kBoot));
  }

  void TearDown() override {
    if (!HasFailure()) return;
    std::cerr << Shell(
                     "journalctl --no-pager -b -o short-monotonic -n 150; "
                     "systemctl list-units --all 'vmsilo-*'; "
                     "cat /run/vmsilo/*/vm/console/console.log")
                     .out;
  }
};

TEST_F(SiloTest, TheSocketListensAndNothingRuns) {
  EXPECT_EQ(Property("vmsilo-work.socket", "ActiveState"), "active");
  EXPECT_EQ(Property("vmsilo-work-vm.service", "ActiveState"), "inactive");
  EXPECT_EQ(Answer("stat -c '%U %a' /run/vmsilo/work/command.socket"),
            "desk 600");
  EXPECT_EQ(Answer("stat -c '%U %a' /run/vmsilo/work"), "root 755");
}

TEST_F(SiloTest, RunStartsTheSiloAndAnswers) {
  const Outcome outcome = Boot("vmsilo run work -- uname -a");
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
  EXPECT_THAT(outcome.out, StartsWith("Linux guest "));
  EXPECT_THAT(outcome.out, HasSubstr("cloud-amd64"));
  EXPECT_EQ(Property("vmsilo-work-vm.service", "ActiveState"), "active");
  EXPECT_EQ(Property("vmsilo-admin-vm.service", "ActiveState"), "inactive");
}

TEST_F(SiloTest, TheHypervisorHasItsOwnUserAndLittleElse) {
  const std::string pid = Property("vmsilo-work-vm.service", "MainPID");
  EXPECT_EQ(Answer(absl::StrCat("ps -o user:32= -p ", pid)), "vmsilo-work");
  EXPECT_EQ(Answer(absl::StrCat("grep CapEff /proc/", pid, "/status")),
            "CapEff:\t0000000000000000");
  EXPECT_EQ(Answer("stat -c '%U %a' /run/vmsilo/work/vm"), "vmsilo-work 710");
}

TEST_F(SiloTest, ListShowsWhatRuns) {
  const Outcome outcome = AsDesk("vmsilo list");
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
  EXPECT_THAT(outcome.out, testing::ContainsRegex("work +running"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("admin +stopped"));
}

// Root does; nobody else reaches the control socket.
TEST_F(SiloTest, StatusAsksTheHypervisor) {
  const Outcome outcome = Shell("vmsilo status work");
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
  EXPECT_THAT(outcome.out, testing::ContainsRegex("machine +running"));
}

TEST_F(SiloTest, TheGuestHasABalloon) {
  EXPECT_EQ(AsDesk("vmsilo run work -- sh -c "
                   "'ls -d /sys/bus/virtio/drivers/virtio_balloon/virtio*'")
                .status,
            0);
}

TEST_F(SiloTest, StatusOfTheCommandIsTheStatusOfRun) {
  struct Case {
    const char* command;
    int status;
  };
  for (const Case& test : std::vector<Case>{
           {"true", 0},
           {"sh -c 'exit 3'", 3},
           {"sh -c 'kill -TERM $$'", 128 + SIGTERM},
           {"no-such-program", 127},
           {"/proc/version", 126},
       }) {
    EXPECT_EQ(AsDesk(absl::StrCat("vmsilo run work -- ", test.command)).status,
              test.status)
        << test.command;
  }
}

TEST_F(SiloTest, StreamsStayApart) {
  const Outcome outcome = AsDesk(
      "echo from the host | vmsilo run work -- sh -c 'cat; echo err >&2; id'");
  EXPECT_EQ(outcome.out,
            "from the host\nuid=1000(user) gid=1000(user) groups=1000(user)\n");
  EXPECT_EQ(outcome.err, "err\n");
}

// Through both pipes of a command at the same time. By hand a gibibyte is the
// same line with another number; emulated processors have reset a guest that
// was busy for so long, without a word on its console.
TEST_F(SiloTest, ManyBytesArriveUnchangedInBothDirections) {
  const Outcome outcome = AsDesk(
      "set -o pipefail; byte_stream send 67108864 2>/tmp/sent | "
      "vmsilo run work -- cat | byte_stream receive 2>/tmp/received; "
      "status=$?; cat /tmp/sent /tmp/received; exit $status",
      absl::Minutes(10));
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
  const std::vector<std::string> said =
      absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(said.size(), 2u) << outcome.out;
  EXPECT_THAT(said[0], StartsWith("67108864 bytes, "));
  EXPECT_EQ(said[0], said[1]);
}

TEST_F(SiloTest, TerminalHasTheSizeOfTheCallers) {
  const Outcome outcome = AsDesk(
      "script -qec \"stty rows 33 cols 77; "
      "vmsilo run --tty work -- sh -c 'tty; stty size; exit 5'\" /dev/null "
      "</dev/null");
  EXPECT_EQ(outcome.status, 5) << testing::PrintToString(outcome);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("/dev/pts/"), HasSubstr("33 77")));
}

TEST_F(SiloTest, SignalsReachTheCommand) {
  ChildProcess run = StartVmsilo(
      {"run", "work", "--", "sh", "-c",
       "trap 'exit 9' INT; echo ready; while :; do sleep 0.1; done"});
  run.ReadStdoutUntil("ready");
  run.Signal(SIGINT);
  EXPECT_EQ(run.Wait().exit_code, 9);
}

TEST_F(SiloTest, DetachedCommandOutlivesItsCaller) {
  EXPECT_EQ(AsDesk("vmsilo run --detach work -- sleep 1000").status, 0);
  EXPECT_EQ(AsDesk("vmsilo run work -- pidof sleep").status, 0);
  EXPECT_EQ(AsDesk("vmsilo run work -- killall sleep").status, 0);
}

TEST_F(SiloTest, AKilledProxyEndsOneConnection) {
  const std::string vm = Invocation("vmsilo-work-vm.service");
  ChildProcess other = StartVmsilo({"run", "work", "--", "cat"});
  other.Write("hello\n");
  other.ReadStdoutUntil("hello");
  // There before the end: what is left of a command lives on for seconds only.
  ChildProcess left = StartVmsilo({"run", "work", "--", "sh", "-c",
                                   "mkfifo /tmp/left && echo waiting && "
                                   "cat /tmp/left"});
  left.ReadStdoutUntil("waiting");
  ChildProcess run = StartVmsilo({"run", "work", "--", "sh", "-c",
                                  "trap 'echo hung up >/tmp/left; exit' HUP; "
                                  "sleep 1000 & echo ready; wait"});
  run.ReadStdoutUntil("ready");
  // The last one is the last that connected.
  EXPECT_TRUE(Succeeds("kill -9 $(pgrep -n vmsilo-proxy)"));
  const ChildProcess::Result result = run.Wait();
  EXPECT_EQ(result.exit_code, 125) << result.err;
  EXPECT_THAT(result.err, Not(IsEmpty()));
  // The guest's end of it is gone as well, and nobody else's.
  EXPECT_EQ(left.Wait().out, "waiting\nhung up\n");
  other.Write("still there\n");
  other.ReadStdoutUntil("still there");
  EXPECT_EQ(other.Wait().exit_code, 0);
  EXPECT_EQ(Invocation("vmsilo-work-vm.service"), vm);
  EXPECT_TRUE(SucceedsWithin(
      "test -z \"$(systemctl list-units --all --no-legend 'vmsilo-work@*')\""));
}

TEST_F(SiloTest, ADeadGuestEndsTheCommandAndTheNextOneBootsIt) {
  ChildProcess run = StartVmsilo(
      {"run", "work", "--", "sh", "-c", "echo ready; exec sleep 1000"});
  run.ReadStdoutUntil("ready");
  EXPECT_TRUE(Succeeds(
      "systemctl kill --kill-who=main -s KILL vmsilo-work-vm.service"));
  const ChildProcess::Result result = run.Wait(absl::Seconds(60));
  EXPECT_EQ(result.exit_code, 125) << result.err;
  EXPECT_THAT(result.err, HasSubstr("work"));
  EXPECT_TRUE(SucceedsWithin("systemctl is-failed vmsilo-work-vm.service"));
  EXPECT_EQ(Property("vmsilo-work.socket", "ActiveState"), "active");
  EXPECT_EQ(Boot("vmsilo run work -- true").status, 0);
}

TEST_F(SiloTest, StopAsksTheGuestAndLeavesNothing) {
  std::ifstream console("/run/vmsilo/work/vm/console/console.log");
  const Outcome outcome = AsDesk("vmsilo stop work");
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
  EXPECT_THAT(Rest(console), HasSubstr(kPowerButton));
  EXPECT_EQ(Property("vmsilo-work-vm.service", "ActiveState"), "inactive");
  EXPECT_EQ(Property("vmsilo-work-vm.service", "Result"), "success");
  EXPECT_TRUE(SucceedsWithin(
      "! pgrep -a vmsilo && ! ps -eo user:32=,args= | grep ^vmsilo-"));
  EXPECT_THAT(Answer("systemctl list-units --all --no-legend 'vmsilo-work@*'"),
              IsEmpty());
  // crosvm's jails have an empty root.
  EXPECT_EQ(Answer("cd /run/vmsilo/work && find . -mindepth 1 -not -type l "
                   "-not '(' -type d -empty ')'"),
            "./command.socket");
  EXPECT_THAT(Answer("grep vmsilo /proc/mounts || true"), IsEmpty());
}

TEST_F(SiloTest, TenClientsAtOnceStartTheSiloOnce) {
  const int before = Starts("vmsilo-work-vm.service");
  std::vector<ChildProcess> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(
        StartVmsilo({"run", "work", "--", "echo", absl::StrCat(i)}));
  }
  for (int i = 0; i < 10; ++i) {
    const ChildProcess::Result result = clients[i].Wait(kBoot);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, absl::StrCat(i, "\n"));
  }
  EXPECT_EQ(Starts("vmsilo-work-vm.service"), before + 1);
}

// Also: each disk is where the configuration says, and what a guest writes to
// its overlay is gone with the next boot.
TEST_F(SiloTest, TheOverlayIsFreshAtEachStart) {
  Outcome outcome = Boot(
      "vmsilo run admin -- sh -c 'blockdev --getsize64 /dev/vda; "
      "blockdev --getro /dev/vda; blockdev --getsize64 /dev/vdb; "
      "echo mark | dd of=/dev/vdb conv=fsync 2>/dev/null; "
      "head -c 4 /dev/vdb'");
  EXPECT_EQ(outcome.out, "1048576\n1\n16777216\nmark") << outcome.err;
  EXPECT_EQ(Answer("stat -c '%a %U' /var/lib/vmsilo/overlays/admin.raw"),
            "600 vmsilo-admin");
  EXPECT_EQ(AsDesk("vmsilo stop admin").status, 0);
  EXPECT_TRUE(Succeeds("test ! -e /var/lib/vmsilo/overlays/admin.raw"));
  // For the next case: less room than the overlay may take.
  EXPECT_TRUE(Succeeds(
      "mount -t tmpfs -o size=4M,mode=0755 small /var/lib/vmsilo/overlays"));
  outcome = Boot("vmsilo run admin -- head -c 4 /dev/vdb");
  EXPECT_EQ(outcome.out, std::string("\0\0\0\0", 4)) << outcome.err;
}

TEST_F(SiloTest, AFullDiskOfTheHostIsAnErrorInTheGuestAndNotItsEnd) {
  const std::string vm = Invocation("vmsilo-admin-vm.service");
  EXPECT_THAT(
      Answer("journalctl -q -o cat -t vmsilo-prepare | tail -n 1"),
      AllOf(HasSubstr("may grow to 16M"), HasSubstr("see its disk fail")));
  const Outcome outcome = AsDesk(
      "vmsilo run admin -- dd if=/dev/zero of=/dev/vdb bs=1M count=12 "
      "conv=fsync");
  EXPECT_EQ(outcome.status, 1) << testing::PrintToString(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("Input/output error"));
  EXPECT_EQ(AsDesk("vmsilo run admin -- true").status, 0);
  EXPECT_EQ(Invocation("vmsilo-admin-vm.service"), vm);
}

// crosvm goes by a disk's first bytes, and a guest can write those of a format
// that names files of the host. Cloud Hypervisor is told the format, but opens
// no disk that looks otherwise.
TEST_F(SiloTest, ARawDiskStaysRaw) {
  EXPECT_EQ(Boot("vmsilo run admin -- sh -c "
                 "'printf \"QFI\\373\" | dd of=/dev/vdc conv=fsync'")
                .status,
            0);
  EXPECT_EQ(AsDesk("vmsilo stop admin").status, 0);
  if (Hypervisor() != "qemu") {
    EXPECT_EQ(AsDesk("vmsilo run admin -- true", kBoot).status, 125);
    EXPECT_THAT(Answer("journalctl -q -o cat -u vmsilo-admin-vm.service"),
                HasSubstr(Hypervisor() == "crosvm"
                              ? "begins like a qcow2 image"
                              : "Unsupported feature (path=/var/lib/vmsilo/"));
    EXPECT_TRUE(
        Succeeds("printf 'QFI!' | dd conv=notrunc "
                 "of=/var/lib/vmsilo/data.img"));
  }
  EXPECT_EQ(Boot("vmsilo run admin -- head -c 3 /dev/vdc").out, "QFI");
}

TEST_F(SiloTest, TheConsoleIsATerminalForTheDesktopUser) {
  // What is typed before the guest has a driver for its serial port is gone.
  ASSERT_EQ(Boot("vmsilo run admin -- true").status, 0);
  ChildProcess console = OpenConsole();
  console.ReadStdoutUntil("Please press Enter");
  console.Write("\necho $((6 * 7)) is the answer\n");
  console.ReadStdoutUntil("42 is the answer");
  console.Signal(SIGTERM);
}

TEST_F(SiloTest, TheGuestIsOnTheNetworkOfItsTap) {
  const Outcome outcome = AsDesk(
      "vmsilo run admin -- sh -c 'ip addr add 10.1.0.2/24 dev eth0 && "
      "ip link set eth0 up && ping -c 3 -w 30 10.1.0.1'");
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
}

TEST_F(SiloTest, AShareIsTheHostsDirectory) {
  EXPECT_TRUE(Succeeds("echo from the host >/srv/data/host"));
  const Outcome outcome = AsDesk(
      "vmsilo run admin -- sh -c 'mkdir -p /mnt && "
      "mount -t virtiofs data /mnt && cat /mnt/host && "
      "echo from the guest >/mnt/guest && umount /mnt'");
  EXPECT_EQ(outcome.out, "from the host\n") << outcome.err;
  EXPECT_EQ(Answer("cat /srv/data/guest"), "from the guest");
}

TEST_F(SiloTest, TheConsoleShowsWhatWasBeforeAnybodyLooked) {
  ASSERT_EQ(AsDesk("vmsilo start admin").status, 0);
  const std::string link = "/run/vmsilo/admin/console";
  EXPECT_EQ(Answer(absl::StrCat("stat -L -c '%U %a' ", link)), "desk 600");
  const absl::StatusOr<UniqueFd> console = Open(link, O_RDWR | O_NOCTTY);
  ASSERT_THAT(console, IsOk());
  ReadUntil(console->get(), "Please press Enter");
  EXPECT_THAT(WriteAll(console->get(), "\r"), IsOk());
  ReadUntil(console->get(), "# ");
  EXPECT_THAT(WriteAll(console->get(), "echo $((40 + 2))-done\r"), IsOk());
  ReadUntil(console->get(), "42-done");
}

TEST_F(SiloTest, ConsoleIsForAPersonAtATerminal) {
  Terminal terminal;
  ChildProcess client = StartVmsilo({"console", "admin"}, terminal.fds());
  terminal.ReadUntil("~? for help, ~. to leave");
  terminal.Type("\r");
  terminal.ReadUntil("# ");
  terminal.Type("echo $((40 + 3))-typed\r");
  terminal.ReadUntil("43-typed");
  const Outcome status = Shell("vmsilo status admin");
  EXPECT_EQ(status.status, 0) << testing::PrintToString(status);
  EXPECT_THAT(status.out,
              AllOf(testing::ContainsRegex("machine +running"),
                    HasSubstr("machine connected, 1 viewer, one of them "
                              "types"),
                    Not(HasSubstr("lost:"))));
  terminal.Type("\r~.");
  EXPECT_EQ(client.Wait().exit_code, 0);
}

// Killed while the hypervisor has bytes for it, and while others have bytes
// for the guest.
TEST_F(SiloTest, NothingIsLostOnTheConsoleWhenItsRelayIsKilled) {
  const std::string vm = Invocation("vmsilo-admin-vm.service");
  const std::vector<std::string> ends = {
      "systemctl kill --kill-who=main -s KILL ",
      "systemctl kill --kill-who=main -s KILL ", "systemctl restart "};
  const std::string relay = "vmsilo-admin-console-relay.service";

  ChildProcess viewer = StartVmsilo({"console", "--read-only", "admin"});
  ChildProcess writer = StartVmsilo(
      {"run", "admin", "--", "sh", "-c",
       // With pauses: emulated processors have hung where a guest had none.
       "i=0; until test -e /tmp/enough; do echo line $i >/dev/console; "
       "i=$((i + 1)); test $((i % 10)) != 0 || sleep 0.1; done; "
       "echo the end >/dev/console; echo $i"});
  for (size_t i = 0; i < ends.size(); ++i) {
    const std::string mark = absl::StrCat("mark-", i, "-");
    ASSERT_EQ(AsDesk(absl::StrCat("vmsilo run admin -- sh -c 'echo ", mark,
                                  " >/dev/console'"))
                  .status,
              0);
    viewer.ReadStdoutUntil(mark);
    EXPECT_TRUE(SucceedsWithin(absl::StrCat("systemctl is-active ", relay)));
    EXPECT_TRUE(Succeeds(absl::StrCat(ends[i], relay)));
  }
  EXPECT_EQ(AsDesk("vmsilo run admin -- touch /tmp/enough").status, 0);
  const std::string shown = viewer.ReadStdoutUntil("the end");
  int count = 0;
  ASSERT_TRUE(absl::SimpleAtoi(writer.Wait().out, &count));
  std::vector<int> wanted(count);
  std::iota(wanted.begin(), wanted.end(), 0);
  EXPECT_TRUE(NumbersOfLines(shown) == wanted)
      << "of " << count << " lines there are " << NumbersOfLines(shown).size();

  ChildProcess console = OpenConsole();
  ASSERT_TRUE(IsAnsweredAt(console));
  console.Write("cat >/tmp/typed; echo $((50 + 5))-typed\r");
  std::string typed;
  for (int i = 0; i < 30; ++i) {
    const std::string line = absl::StrCat("typed line ", i);
    console.Write(absl::StrCat(line, "\r"));
    absl::StrAppend(&typed, line, "\n");
    if (i % 10 == 5) {
      EXPECT_TRUE(SucceedsWithin(absl::StrCat("systemctl is-active ", relay)));
      EXPECT_TRUE(Succeeds(absl::StrCat(ends[i / 10], relay)));
    }
  }
  console.Write("\x04");
  console.ReadStdoutUntil("55-typed");
  EXPECT_EQ(AsDesk("vmsilo run admin -- cat /tmp/typed").out, typed);

  EXPECT_EQ(Invocation("vmsilo-admin-vm.service"), vm);
  EXPECT_THAT(
      Answer("vmsilo status admin"),
      AllOf(HasSubstr("machine connected, 1 viewer"), Not(HasSubstr("lost:"))));
  viewer.Signal(SIGTERM);
  console.Signal(SIGTERM);
}

TEST_F(SiloTest, AConsoleGoesOnWhenTheMachineStartsAgain) {
  const std::string relay = Invocation("vmsilo-admin-console-relay.service");
  ASSERT_EQ(Boot("vmsilo run admin -- true").status, 0);
  ChildProcess console = OpenConsole();
  ASSERT_TRUE(IsAnsweredAt(console));
  // By the guest, for which a hypervisor may have to start again, or not.
  console.Write("reboot -f\r");
  EXPECT_THAT(console.ReadStdoutUntil("reboot: Restarting system"),
              HasSubstr("reboot: Restarting system"));
  EXPECT_EQ(Boot("vmsilo run admin -- true").status, 0);
  EXPECT_TRUE(IsAnsweredAt(console));
  // By a person.
  EXPECT_TRUE(Succeeds("systemctl restart vmsilo-admin-vm.service", kBoot));
  EXPECT_EQ(Boot("vmsilo run admin -- true").status, 0);
  EXPECT_TRUE(IsAnsweredAt(console));
  EXPECT_EQ(Invocation("vmsilo-admin-console-relay.service"), relay);
  console.Signal(SIGTERM);
}

// systemd holds what crosvm has said, Cloud Hypervisor keeps it; QEMU forgets.
TEST_F(SiloTest, AConsoleThatComesAfterTheMachineShowsWhatWasBefore) {
  const std::string directory =
      "/run/systemd/system/vmsilo-admin-console-relay.service.d";
  // What a hypervisor leaves when it dies must not be in the next one's way.
  ASSERT_TRUE(Succeeds(
      absl::StrCat("systemctl kill --kill-who=main -s KILL "
                   "vmsilo-admin-vm.service; mkfifo -m 644 /run/hold && mkdir ",
                   directory)));
  const std::string command = Answer(
      "sed -n 's/^ExecStart=//p' "
      "/etc/systemd/system/vmsilo-admin-console-relay.service");
  // Not of Type=notify, for which the machine would wait.
  ASSERT_THAT(
      WriteFileAtomically(
          absl::StrCat(directory, "/late.conf"),
          absl::StrCat("[Service]\nType=exec\nNotifyAccess=main\nExecStart=\n"
                       "ExecStart=/bin/sh -c "
                       "'cat /run/hold && exec \"$$0\" \"$$@\"' ",
                       command, "\n"),
          0644),
      IsOk());
  ASSERT_TRUE(Succeeds("systemctl daemon-reload"));
  EXPECT_TRUE(SucceedsWithin("systemctl is-failed vmsilo-admin-vm.service"));
  EXPECT_TRUE(SucceedsWithin(
      "test $(systemctl is-active vmsilo-admin-console-relay.service) = "
      "inactive"));
  EXPECT_EQ(Boot("vmsilo run admin -- true").status, 0);
  const std::string vm = Invocation("vmsilo-admin-vm.service");
  EXPECT_THAT(Answer("vmsilo status admin"),
              AllOf(testing::ContainsRegex("machine +running"),
                    HasSubstr("its relay does not run")));

  EXPECT_TRUE(Succeeds("echo >/run/hold"));
  EXPECT_TRUE(AppearsWithin("/run/vmsilo/admin/console.d/viewers.socket"));
  EXPECT_TRUE(
      SucceedsWithin("vmsilo status admin | grep -q 'machine connected'"));
  ChildProcess console = OpenConsole();
  if (Hypervisor() != "qemu") console.ReadStdoutUntil("Please press Enter");
  EXPECT_TRUE(IsAnsweredAt(console));
  EXPECT_EQ(Invocation("vmsilo-admin-vm.service"), vm);
  console.Signal(SIGTERM);
  EXPECT_TRUE(Succeeds(absl::StrCat("vmsilo stop admin; rm -r /run/hold ",
                                    directory, " && systemctl daemon-reload")));
}

TEST_F(SiloTest, AKilledHelperComesBackAndTheGuestDoesNotNotice) {
  ASSERT_EQ(AsDesk("vmsilo start admin").status, 0);
  const std::string vm = Invocation("vmsilo-admin-vm.service");
  const std::string relay = "vmsilo-admin-console-relay.service";
  const std::string before = Property(relay, "MainPID");
  EXPECT_EQ(Answer(absl::StrCat("ps -o user:32= -p ", before)), "desk");
  EXPECT_TRUE(
      Succeeds(absl::StrCat("systemctl kill --kill-who=main -s KILL ", relay)));
  EXPECT_TRUE(SucceedsWithin(absl::StrCat(
      "systemctl is-active ", relay, " && test $(systemctl show --value ",
      "-p MainPID ", relay, ") != ", before)));
  EXPECT_EQ(Property(relay, "NRestarts"), "1");
  EXPECT_EQ(AsDesk("vmsilo run admin -- true").status, 0);
  EXPECT_EQ(Invocation("vmsilo-admin-vm.service"), vm);
}

TEST_F(SiloTest, AKilledAgentEndsItsCommandsAndComesBack) {
  const std::string vm = Invocation("vmsilo-admin-vm.service");
  ChildProcess run = StartVmsilo({"run", "admin", "--", "sh", "-c",
                                  "killall -9 vmsilo-agent; sleep 1000"});
  const ChildProcess::Result result = run.Wait(absl::Seconds(60));
  EXPECT_EQ(result.exit_code, 125) << result.err;
  EXPECT_TRUE(
      SucceedsWithin("setpriv --reuid=4200 --regid=4200 "
                     "--clear-groups vmsilo run admin -- true"));
  EXPECT_EQ(Invocation("vmsilo-admin-vm.service"), vm);
}

TEST_F(SiloTest, AnotherSiloChangesNothingForTheOthers) {
  const std::string work = Invocation("vmsilo-work-vm.service");
  const std::string socket = Invocation("vmsilo-work.socket");
  // With the CID in its command line.
  const std::string unit =
      Answer("cat /etc/systemd/system/vmsilo-work-vm.service");
  // Before the others in every order.
  EXPECT_TRUE(Succeeds(
      "cp /etc/vmsilo/vmsilo.toml /tmp/before.toml && touch /tmp/stamp && "
      "{ cat /tmp/before.toml; echo; sed -n '/^.vms.work./,/^$/p' "
      "/tmp/before.toml | sed 's/vms.work/vms.aaa/'; } "
      ">/etc/vmsilo/vmsilo.toml && tests/silo/apply"));
  EXPECT_EQ(Answer("find /etc/systemd -newer /tmp/stamp -type f -not -path "
                   "'*aaa*'"),
            "");
  EXPECT_EQ(Answer("cat /etc/systemd/system/vmsilo-work-vm.service"), unit);
  EXPECT_EQ(Property("vmsilo-aaa.socket", "ActiveState"), "active");
  EXPECT_EQ(Invocation("vmsilo-work-vm.service"), work);
  EXPECT_EQ(Invocation("vmsilo-work.socket"), socket);
  EXPECT_EQ(Property("vmsilo-work-vm.service", "NeedDaemonReload"), "no");
  EXPECT_EQ(AsDesk("vmsilo run work -- true").status, 0);
  EXPECT_EQ(Invocation("vmsilo-work-vm.service"), work);

  EXPECT_TRUE(Succeeds(
      "cp /tmp/before.toml /etc/vmsilo/vmsilo.toml && tests/silo/apply"));
  EXPECT_THAT(Answer("find /etc -path '*vmsilo-aaa*'"), IsEmpty());
  EXPECT_TRUE(Succeeds("test ! -e /run/vmsilo/aaa/command.socket"));
  EXPECT_EQ(Invocation("vmsilo-work-vm.service"), work);
}

// A unit counts only when its effect was seen: without its program, the same
// checks as above fail.
class WithoutItsProgram : public SiloTest {
 protected:
  void Replace(const std::string& unit, const std::string& setting) {
    directory_ = absl::StrCat("/run/systemd/system/", unit, ".d");
    ASSERT_TRUE(Succeeds(absl::StrCat(
        "vmsilo stop work; systemctl stop 'vmsilo-work*'; mkdir ", directory_,
        " && printf '[Service]\\n", setting, "=\\n", setting,
        "=/bin/true\\n' >", directory_, "/mutant.conf && ",
        "systemctl daemon-reload && systemctl start vmsilo-work.socket")));
  }

  void TearDown() override {
    EXPECT_TRUE(
        Succeeds(absl::StrCat("rm -r ", directory_,
                              "; systemctl stop 'vmsilo-work*'; systemctl "
                              "reset-failed; systemctl daemon-reload; "
                              "rm -rf /run/vmsilo/work; "
                              "systemctl start vmsilo-work.socket")));
    SiloTest::TearDown();
  }

  std::string directory_;
};

TEST_F(WithoutItsProgram, TheVmAnswersNothing) {
  Replace("vmsilo-work-vm.service", "ExecStart");
  const Outcome outcome = AsDesk("vmsilo run work -- true", kBoot);
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.err, HasSubstr("work"));
}

TEST_F(WithoutItsProgram, TheProxyCarriesNothing) {
  Replace("vmsilo-work@.service", "ExecStart");
  EXPECT_EQ(AsDesk("vmsilo run work -- true", kBoot).status, 125);
}

TEST_F(WithoutItsProgram, PrepMakesNoLinks) {
  ASSERT_TRUE(
      Succeeds("vmsilo stop work && systemctl stop vmsilo-work.socket "
               "&& rm -rf /run/vmsilo/work"));
  Replace("vmsilo-work-prep.service", "ExecStart");
  EXPECT_TRUE(Succeeds(absl::StrCat("test ! -L /run/vmsilo/work/", Hypervisor(),
                                    "-control.socket")));
}

TEST_F(WithoutItsProgram, StopPullsThePlug) {
  Replace("vmsilo-work-vm.service", "ExecStop");
  EXPECT_EQ(Boot("vmsilo run work -- true").status, 0);
  std::ifstream console("/run/vmsilo/work/vm/console/console.log");
  EXPECT_TRUE(Succeeds("vmsilo stop work"));
  EXPECT_THAT(Rest(console), Not(HasSubstr(kPowerButton)));
}

}  // namespace
}  // namespace vmsilo::lab
