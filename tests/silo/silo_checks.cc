// A host of silos from nothing: real systemd, our units as they are installed,
// QEMU with KVM, and guests with our agent. Runs in a lab machine. The cases go
// on with what the ones before left, in the order in which they stand here:
// each boot of a silo costs ten seconds and more in the emulator.

#include <signal.h>

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/testing/process.h"
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
// The identifier of systemd's message that a unit was started.
constexpr absl::string_view kUnitStarted = "39f53479d3a045ac8e11786248231fbf";

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

// `vmsilo` as the desktop user, to be signalled.
ChildProcess StartVmsilo(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"/usr/bin/setpriv", "--reuid=4200",
                                   "--regid=4200", "--clear-groups",
                                   "/usr/bin/vmsilo"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return ChildProcess::Start({.argv = std::move(argv)});
}

class SiloTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(
        Succeeds("install -d /var/lib/vmsilo/images/default && "
                 "install tests/silo/print_arguments /usr/local/bin/ && "
                 "truncate -s 1M /var/lib/vmsilo/images/default/root.img && "
                 "tests/silo/install_host tests/silo/testdata/silos.toml"));
  }

  void TearDown() override {
    if (!HasFailure()) return;
    std::cerr << Shell(
                     "journalctl --no-pager -b -o short-monotonic -n 150; "
                     "systemctl list-units --all 'vmsilo-*'; "
                     "cat /run/vmsilo/*/vm/console.log")
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
  const Outcome outcome = AsDesk("vmsilo run work -- uname -a", kBoot);
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

// 48 MiB: a gigabyte takes the emulated processors of host and guest four
// minutes. It is far more than every buffer on the way.
TEST_F(SiloTest, BytesArriveUnchangedInBothDirections) {
  EXPECT_TRUE(Succeeds(
      "head -c 48M /dev/urandom >/tmp/sent && "
      "setpriv --reuid=4200 --regid=4200 --clear-groups "
      "vmsilo run work -- cat </tmp/sent | cmp - /tmp/sent; status=$?; "
      "rm /tmp/sent; exit $status",
      absl::Seconds(120)));
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
  ChildProcess run = StartVmsilo(
      {"run", "work", "--", "sh", "-c", "echo ready; exec sleep 1000"});
  run.ReadStdoutUntil("ready");
  // The last one is the last that connected.
  EXPECT_TRUE(Succeeds("kill -9 $(pgrep -n vmsilo-proxy)"));
  const ChildProcess::Result result = run.Wait();
  EXPECT_EQ(result.exit_code, 125) << result.err;
  EXPECT_THAT(result.err, Not(IsEmpty()));
  // The guest's end of it is gone as well, and nobody else's.
  EXPECT_TRUE(
      SucceedsWithin("! setpriv --reuid=4200 --regid=4200 "
                     "--clear-groups vmsilo run work -- pidof sleep"));
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
  EXPECT_EQ(AsDesk("vmsilo run work -- true", kBoot).status, 0);
}

TEST_F(SiloTest, StopAsksTheGuestAndLeavesNothing) {
  const std::string stopped = Invocation("vmsilo-work-vm.service");
  const Outcome outcome = AsDesk("vmsilo stop work");
  EXPECT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
  EXPECT_EQ(Property("vmsilo-work-vm.service", "ActiveState"), "inactive");
  EXPECT_EQ(Property("vmsilo-work-vm.service", "Result"), "success");
  // QEMU says so when it is told to end instead of the guest.
  EXPECT_THAT(Answer(absl::StrCat(
                  "journalctl -q -o cat _SYSTEMD_INVOCATION_ID=", stopped)),
              Not(HasSubstr("terminating on signal")));
  EXPECT_TRUE(SucceedsWithin("! pgrep -a 'qemu|vmsilo'"));
  EXPECT_THAT(Answer("systemctl list-units --all --no-legend 'vmsilo-work@*'"),
              IsEmpty());
  EXPECT_EQ(Answer("cd /run/vmsilo/work && find . -mindepth 1 -not -type l"),
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
  Outcome outcome = AsDesk(
      "vmsilo run admin -- sh -c 'blockdev --getsize64 /dev/vda; "
      "blockdev --getro /dev/vda; blockdev --getsize64 /dev/vdb; "
      "echo mark | dd of=/dev/vdb conv=fsync 2>/dev/null; "
      "head -c 4 /dev/vdb'",
      kBoot);
  EXPECT_EQ(outcome.out, "1048576\n1\n16777216\nmark") << outcome.err;
  EXPECT_EQ(Answer("stat -c '%a %U' /var/lib/vmsilo/overlays/admin.raw"),
            "600 vmsilo-admin");
  EXPECT_EQ(AsDesk("vmsilo stop admin").status, 0);
  EXPECT_TRUE(Succeeds("test ! -e /var/lib/vmsilo/overlays/admin.raw"));
  outcome = AsDesk("vmsilo run admin -- head -c 4 /dev/vdb", kBoot);
  EXPECT_EQ(outcome.out, std::string("\0\0\0\0", 4)) << outcome.err;
}

TEST_F(SiloTest, AKilledHelperComesBackAndTheGuestDoesNotNotice) {
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
  EXPECT_TRUE(Succeeds("test ! -L /run/vmsilo/work/qemu-control.socket"));
}

TEST_F(WithoutItsProgram, StopPullsThePlug) {
  Replace("vmsilo-work-vm.service", "ExecStop");
  EXPECT_EQ(AsDesk("vmsilo run work -- true", kBoot).status, 0);
  const std::string stopped = Invocation("vmsilo-work-vm.service");
  EXPECT_TRUE(Succeeds("vmsilo stop work"));
  EXPECT_THAT(Answer(absl::StrCat(
                  "journalctl -q -o cat _SYSTEMD_INVOCATION_ID=", stopped)),
              HasSubstr("terminating on signal"));
}

}  // namespace
}  // namespace vmsilo::lab
