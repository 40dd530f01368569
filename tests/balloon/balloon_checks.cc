// Four silos with real guests on a host that has not got their memory: the
// shipped daemon as its unit runs it, real balloons, programs that eat. Runs in
// a lab machine. The cases go on with what the ones before left, in the order
// in which they stand here: each boot costs ten seconds in the emulator.
//
// LAB_BALLOOND in the environment names what shares the memory instead, for
// compare: "none" or a program. Then failures are what is to be seen.

#include <poll.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/silo/shell.h"

namespace vmsilo::lab {
namespace {

using ::testing::IsEmpty;

constexpr std::array<const char*, 3> kSilos = {"work", "banking", "private"};
// Its kernel has no balloon driver.
constexpr char kStuck[] = "stuck";
constexpr absl::Duration kBoot = absl::Seconds(150);
constexpr absl::Duration kAnswer = absl::Minutes(2);
constexpr int64_t kMiB = int64_t{1} << 20;

// The eater of a silo, reached as a person would.
class Eater {
 public:
  explicit Eater(const std::string& silo)
      : child_(ChildProcess::Start(
            {.argv = {"/usr/bin/vmsilo", "run", silo, "--", "/tmp/eater"}})) {}

  void Begin(absl::string_view order) {
    child_.Write(absl::StrCat(order, "\n"));
  }
  void AwaitHolds(int mib) { Expect(absl::StrCat("holds ", mib)); }
  void Hold(int mib) {
    Begin(absl::StrCat("hold ", mib));
    AwaitHolds(mib);
  }
  void Read(absl::string_view file) {
    Begin(absl::StrCat("read ", file));
    Expect(absl::StrCat("read ", file));
  }
  // What it has done since the last time.
  struct Report {
    int64_t touched = 0;  // MiB
    absl::Duration longest;
  };
  Report GetReport() {
    Begin("report");
    const std::string answer = NextLine();
    long long touched = 0;
    long long longest = 0;
    EXPECT_EQ(
        sscanf(answer.c_str(), "touched %lld longest %lld", &touched, &longest),
        2)
        << answer;
    return {.touched = touched, .longest = absl::Microseconds(longest)};
  }

 private:
  std::string NextLine() {
    // A guest that is short is slow, and an emulated one slower.
    pollfd answers = {.fd = child_.stdout_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(
        poll(&answers, 1, static_cast<int>(absl::ToInt64Milliseconds(kAnswer))),
        1)
        << "nothing within " << kAnswer;
    return ReadUntil(child_.stdout_fd(), "\n");
  }
  void Expect(const std::string& answer) {
    EXPECT_EQ(NextLine(), answer + "\n");
  }

  ChildProcess child_;
};

// Null: not there.
const balloon::Status::Vm* FindVm(const balloon::Status& status,
                                  absl::string_view name) {
  const auto it = std::find_if(
      status.vms.begin(), status.vms.end(),
      [name](const balloon::Status::Vm& vm) { return vm.name == name; });
  return it == status.vms.end() ? nullptr : &*it;
}

// All of kSilos, and not the one without a balloon.
bool ManagesWhatItCan(const balloon::Status& status) {
  const balloon::Status::Vm* stuck = FindVm(status, kStuck);
  return stuck != nullptr && !stuck->is_managed &&
         std::all_of(kSilos.begin(), kSilos.end(), [&status](const char* silo) {
           const balloon::Status::Vm* vm = FindVm(status, silo);
           return vm != nullptr && vm->is_managed;
         });
}

// Answered by the daemon's own rounds, which are its clock.
testing::AssertionResult Becomes(
    const std::function<bool(const balloon::Status&)>& predicate,
    absl::Duration deadline = absl::Seconds(60)) {
  ChildProcess watch = ChildProcess::Start(
      {.argv = {"/usr/bin/vmsilo", "balloon", "--watch", "--json"}});
  const absl::Time end = absl::Now() + deadline;
  std::string line;
  while (absl::Now() < end) {
    line = ReadUntil(watch.stdout_fd(), "\n");
    const absl::StatusOr<balloon::Answer> answer =
        balloon::DecodeAnswer(absl::StripTrailingAsciiWhitespace(line));
    if (!answer.ok()) break;
    const auto* status = std::get_if<balloon::Status>(&*answer);
    if (status != nullptr && predicate(*status)) {
      return testing::AssertionSuccess();
    }
  }
  return testing::AssertionFailure() << "at last it was " << line;
}

std::string MainPid(const std::string& unit) {
  return Answer(absl::StrCat("systemctl show --value -p MainPID ", unit));
}

std::string Kind() {
  const char* kind = getenv("LAB_BALLOOND");
  return kind == nullptr ? "" : kind;
}

bool HasDaemon() { return Kind() != "none"; }

constexpr char kNoDaemon[] = "it runs without a daemon";

class BalloonTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string kind = Kind();
    const std::string program =
        kind.empty() || !HasDaemon() ? "balloond/vmsilo-balloond" : kind;
    ASSERT_TRUE(Succeeds(
        absl::StrCat("install -d /var/lib/vmsilo && "
                     "truncate -s 200M /var/lib/vmsilo/data.img && install ",
                     program,
                     " /usr/bin/vmsilo-balloond && "
                     "tests/silo/install_host tests/balloon/silos.toml"),
        kBoot));
    if (!HasDaemon()) {
      ASSERT_TRUE(Succeeds("systemctl stop vmsilo-balloond.service"));
    }
    for (const char* silo : {"work", "banking", "private", kStuck}) {
      // The proxy gives a guest a minute, which a busy emulator may not be
      // content with.
      const absl::Time end = absl::Now() + kBoot;
      Outcome outcome;
      do {
        outcome = Shell(absl::StrCat("vmsilo run ", silo,
                                     " -- sh -c 'cat >/tmp/eater && chmod +x "
                                     "/tmp/eater' <tests/balloon/eater"),
                        kBoot);
      } while (absl::StrContains(outcome.err, "nobody answers in it") &&
               absl::Now() < end);
      ASSERT_EQ(outcome.status, 0) << testing::PrintToString(outcome);
      pids_[silo] = MainPid(absl::StrCat("vmsilo-", silo, "-vm.service"));
      eaters_[silo] = std::make_unique<Eater>(silo);
    }
    pressure_ = Pressure();
    begin_ = absl::Now();
  }

  static void TearDownTestSuite() {
    const absl::Duration elapsed = absl::Now() - begin_;
    std::cerr << absl::StreamFormat(
        "host: someone waited for memory %.1f %% of %s\n",
        100 * absl::FDivDuration(Pressure() - pressure_, elapsed),
        absl::FormatDuration(absl::Trunc(elapsed, absl::Seconds(1))));
    for (auto& [silo, eater] : eaters_) {
      if (!IsAlive(silo)) {
        std::cerr << silo << ": killed\n";
        continue;
      }
      const Eater::Report report = eater->GetReport();
      std::cerr << absl::StreamFormat("%s: %d MiB used, longest stall %s\n",
                                      silo, report.touched,
                                      absl::FormatDuration(report.longest));
    }
    eaters_.clear();
  }

  void TearDown() override {
    EXPECT_THAT(Shell("journalctl -q -k -b --no-pager | grep -iE "
                      "'out of memory|oom-kill'")
                    .out,
                IsEmpty());
    for (const auto& [silo, pid] : pids_) {
      EXPECT_TRUE(IsAlive(silo)) << silo << " is not what it was";
    }
    if (!HasFailure()) return;
    std::cerr << Shell(
                     "vmsilo balloon; journalctl --no-pager -b -o "
                     "short-monotonic -u vmsilo-balloond -n 60; free -m")
                     .out;
  }

  static bool IsAlive(const std::string& silo) {
    return MainPid(absl::StrCat("vmsilo-", silo, "-vm.service")) == pids_[silo];
  }

  // How long anybody on the host has waited for memory.
  static absl::Duration Pressure() {
    const std::string text =
        Answer("sed -n 's/^some.*total=//p' /proc/pressure/memory");
    int64_t microseconds = 0;
    EXPECT_TRUE(absl::SimpleAtoi(text, &microseconds)) << text;
    return absl::Microseconds(microseconds);
  }

  static Eater& EaterOf(const std::string& silo) { return *eaters_.at(silo); }

  static std::map<std::string, std::string> pids_;
  static std::map<std::string, std::unique_ptr<Eater>> eaters_;
  static absl::Duration pressure_;
  static absl::Time begin_;
};

std::map<std::string, std::string> BalloonTest::pids_;
std::map<std::string, std::unique_ptr<Eater>> BalloonTest::eaters_;
absl::Duration BalloonTest::pressure_;
absl::Time BalloonTest::begin_;

TEST_F(BalloonTest, AllSilosAreFound) {
  if (!HasDaemon()) GTEST_SKIP() << kNoDaemon;
  EXPECT_TRUE(Becomes(ManagesWhatItCan));
}

TEST_F(BalloonTest, CachesMakeRoomForEachOther) {
  // A disk in each guest's page cache, in turn: more than there is.
  for (const char* silo : kSilos) EaterOf(silo).Read("/dev/vda");
}

TEST_F(BalloonTest, ARampGetsWhatOthersDoNotUse) {
  EaterOf(kStuck).Hold(40);
  EaterOf("work").Hold(150);
  EaterOf("banking").Hold(150);
  EaterOf("work").Hold(0);
  EaterOf("private").Hold(150);
  EaterOf("banking").Hold(0);
  EaterOf("work").Hold(150);
  EaterOf("private").Hold(0);
}

TEST_F(BalloonTest, ASpikeIsServed) {
  EaterOf("work").Hold(0);
  for (const char* silo : kSilos) EaterOf(silo).Read("/dev/vda");
  // All at once: one releases, two jump.
  EaterOf("banking").Begin("hold 200");
  EaterOf("private").Begin("hold 80");
  EaterOf("banking").AwaitHolds(200);
  EaterOf("private").AwaitHolds(80);
  EaterOf("banking").Hold(0);
  EaterOf("private").Hold(0);
}

TEST_F(BalloonTest, AKilledDaemonsSuccessorGoesOnFromWhatItFinds) {
  if (!HasDaemon()) GTEST_SKIP() << kNoDaemon;
  for (int time = 0; time < 3; ++time) {
    const std::string pid = MainPid("vmsilo-balloond.service");
    const char* silo = kSilos[time];
    EaterOf(silo).Begin("hold 150");
    EXPECT_TRUE(Succeeds(absl::StrCat("kill -9 ", pid)));
    EaterOf(silo).AwaitHolds(150);
    EXPECT_TRUE(SucceedsWithin(absl::StrCat(
        "systemctl is-active -q vmsilo-balloond.service && test \"$(systemctl "
        "show --value -p MainPID vmsilo-balloond.service)\" != ",
        pid)));
    EXPECT_TRUE(Becomes(ManagesWhatItCan));
    EaterOf(silo).Hold(0);
  }
}

TEST_F(BalloonTest, APersonsWishIsFulfilled) {
  if (!HasDaemon()) GTEST_SKIP() << kNoDaemon;
  ASSERT_EQ(AsDesk("vmsilo balloon set work 100M").status, 0);
  EXPECT_TRUE(Becomes([](const balloon::Status& status) {
    const balloon::Status::Vm* work = FindVm(status, "work");
    return work != nullptr && work->balloon == 100 * kMiB;
  }));
  ASSERT_EQ(AsDesk("vmsilo balloon set work auto").status, 0);
}

TEST_F(BalloonTest, NobodyWasKilledInAnyGuest) {
  for (const char* silo : kSilos) {
    const Outcome outcome = Shell(
        absl::StrCat("vmsilo run ", silo, " -- grep oom_kill /proc/vmstat"));
    EXPECT_EQ(outcome.out, "oom_kill 0\n") << testing::PrintToString(outcome);
  }
}

TEST_F(BalloonTest, TheDaemonKeepsToItself) {
  if (!HasDaemon()) GTEST_SKIP() << kNoDaemon;
  const std::string pid = MainPid("vmsilo-balloond.service");
  EXPECT_EQ(
      Answer(absl::StrCat("sed -n 's/^CapEff:\t//p' /proc/", pid, "/status")),
      "0000000000000002");  // CAP_DAC_OVERRIDE
  EXPECT_EQ(
      Answer(absl::StrCat("sed -n 's/^Seccomp:\t//p' /proc/", pid, "/status")),
      "2");
  pid_t number = 0;
  ASSERT_TRUE(absl::SimpleAtoi(pid, &number)) << pid;
  EXPECT_LE(PrivateKilobytes(number), 2048u);
}

}  // namespace
}  // namespace vmsilo::lab
