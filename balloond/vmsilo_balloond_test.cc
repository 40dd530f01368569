// The program as it ships, its sandbox on, with made-up hypervisors of all
// three kinds.

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "balloon/vm_file.h"
#include "common/bytes.h"
#include "common/epoll_event_loop.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/notify_socket.h"
#include "common/testing/process.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/testing/fake_balloon.h"
#include "hypervisor/testing/fake_hypervisor.h"

namespace vmsilo::balloond {
namespace {

using config::Hypervisor;
using hypervisor::FakeBalloon;
using hypervisor::FakeHypervisor;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kMiB = int64_t{1} << 20;

// Where a hypervisor of that kind has its socket in its silo's directory.
std::string SocketOf(Hypervisor kind) {
  switch (kind) {
    case Hypervisor::kQemu:
      return "vm/qemu-balloon.socket";
    case Hypervisor::kCrosvm:
      return "vm/crosvm-control.socket";
    case Hypervisor::kCloudHypervisor:
      return "vm/cloud-hypervisor-control.socket";
  }
  return "";
}

class BalloondTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<EpollEventLoop>> loop =
        EpollEventLoop::Create();
    ASSERT_THAT(loop, IsOk());
    loop_ = *std::move(loop);
  }

  std::vector<std::string> CommandLine(std::vector<std::string> options) {
    std::vector<std::string> argv = {Runfile("balloond/vmsilo-balloond"),
                                     "--run-dir",
                                     run_.path(),
                                     "--poll-interval",
                                     "100ms",
                                     "--calm-interval",
                                     "200ms"};
    argv.insert(argv.end(), options.begin(), options.end());
    return argv;
  }

  void Start(std::vector<std::string> options = {}) {
    child_.emplace(ChildProcess::Start(
        {.argv = CommandLine(std::move(options)),
         .environment = {{"NOTIFY_SOCKET", notify_.path()}}}));
    // One that was killed may have left others.
    std::string message;
    do {
      message = notify_.Next();
    } while (absl::StartsWith(message, "STATUS="));
    EXPECT_EQ(message, "READY=1");
  }

  // Ends it as systemd does; it must say nothing worse than a warning.
  std::string Stop() {
    child_->Signal(SIGTERM);
    const ChildProcess::Result result = child_->Wait();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_FALSE(result.signal.has_value()) << *result.signal;
    EXPECT_THAT(result.err, Not(HasSubstr("error:")));
    child_.reset();
    return result.err;
  }

  // Its guest has been running for long.
  FakeHypervisor& Add(const std::string& name, Hypervisor kind) {
    std::filesystem::create_directories(run_.Path(absl::StrCat(name, "/vm")));
    auto fake = std::make_unique<FakeHypervisor>(
        loop_.get(), kind, run_.Path(absl::StrCat(name, "/", SocketOf(kind))));
    fake->balloon().LoadDriver();
    FakeHypervisor& added = *fake;
    silos_[name] = std::move(fake);
    return added;
  }

  FakeBalloon& BalloonOf(const std::string& name) {
    return silos_.at(name)->balloon();
  }

  absl::StatusOr<balloon::Answer> Ask(const balloon::Request& request) {
    absl::StatusOr<UniqueFd> fd =
        ConnectUnix(run_.Path(".balloond/control.socket"));
    if (!fd.ok()) return fd.status();
    const absl::Status written = WriteAll(fd->get(), balloon::Encode(request));
    if (!written.ok()) return written;
    std::string text;
    bool has_ended = false;
    EXPECT_TRUE(RunUntil(loop_.get(), [&] {
      char buffer[4096];
      const ssize_t size = read(fd->get(), buffer, sizeof(buffer));
      if (size > 0) text.append(buffer, static_cast<size_t>(size));
      has_ended = size == 0;
      return has_ended || text.find('\n') != std::string::npos;
    }));
    if (has_ended) return absl::UnavailableError("hung up");
    return balloon::DecodeAnswer(text.substr(0, text.find('\n')));
  }

  balloon::Status Status() {
    const absl::StatusOr<balloon::Answer> answer =
        Ask(balloon::StatusRequest());
    EXPECT_THAT(answer, IsOk());
    const auto* status =
        answer.ok() ? std::get_if<balloon::Status>(&*answer) : nullptr;
    return status == nullptr ? balloon::Status() : *status;
  }

  // The silo as the daemon sees it.
  std::optional<balloon::Status::Vm> View(const std::string& name) {
    for (balloon::Status::Vm& vm : Status().vms) {
      if (vm.name == name) return std::move(vm);
    }
    return std::nullopt;
  }

  bool IsManaged(const std::string& name) {
    const std::optional<balloon::Status::Vm> vm = View(name);
    return vm && vm->is_managed;
  }

  bool Until(const std::function<bool()>& predicate) {
    return RunUntil(loop_.get(), predicate, absl::Seconds(30));
  }

  TempDir run_;
  TempDir other_;
  NotifySocket notify_{other_.Path("notify")};
  std::unique_ptr<EpollEventLoop> loop_;
  std::map<std::string, std::unique_ptr<FakeHypervisor>> silos_;
  std::optional<ChildProcess> child_;
};

class EachHypervisorTest : public BalloondTest,
                           public testing::WithParamInterface<Hypervisor> {};

TEST_P(EachHypervisorTest, GivesBackWhatTheHostCanSpare) {
  Add("work", GetParam());
  BalloonOf("work").set_memory(GiB(1));
  BalloonOf("work").set_size(MiB(512));
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  EXPECT_EQ(View("work")->memory, 1024 * kMiB);
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == Bytes(0); }));
  EXPECT_TRUE(Until([&] { return View("work")->balloon == 0; }));
  Stop();
}

TEST_P(EachHypervisorTest, APersonsWishIsFulfilledAndTakenBack) {
  Add("work", GetParam());
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  EXPECT_THAT(Ask(balloon::SetRequest{.vm = "work", .balloon = 300 * kMiB}),
              IsOk());
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == MiB(300); }));
  EXPECT_EQ(View("work")->fixed, 300 * kMiB);
  EXPECT_THAT(Ask(balloon::SetRequest{.vm = "work"}), IsOk());
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == Bytes(0); }));
  Stop();
}

TEST_P(EachHypervisorTest, AGuestThatMakesUpNumbersHarmsNobody) {
  constexpr Bytes kMost = Bytes(~uint64_t{0});
  Add("liar", GetParam());
  BalloonOf("liar").set_statistics(
      hypervisor::GuestMemory{.free = kMost,
                              .total = kMost,
                              .available = kMost,
                              .caches = kMost,
                              .swapped_in = ~uint64_t{0},
                              .oom_kills = ~uint64_t{0}});
  Add("work", Hypervisor::kQemu);
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  EXPECT_TRUE(Until([&] { return Status().rounds >= 10; }));
  EXPECT_EQ(BalloonOf("liar").target(), Bytes(0));
  EXPECT_TRUE(IsManaged("work"));
  EXPECT_THAT(Ask(balloon::MetricsRequest()), IsOk());
  Stop();
}

INSTANTIATE_TEST_SUITE_P(All, EachHypervisorTest,
                         testing::Values(Hypervisor::kQemu, Hypervisor::kCrosvm,
                                         Hypervisor::kCloudHypervisor),
                         [](const auto& test) {
                           switch (test.param) {
                             case Hypervisor::kQemu:
                               return "Qemu";
                             case Hypervisor::kCrosvm:
                               return "Crosvm";
                             case Hypervisor::kCloudHypervisor:
                               return "CloudHypervisor";
                           }
                           return "";
                         });

TEST_F(BalloondTest, SilosComeAndGo) {
  Start();
  EXPECT_THAT(Status().vms, IsEmpty());
  Add("a", Hypervisor::kQemu);
  Add("b", Hypervisor::kCrosvm);
  Add("c", Hypervisor::kCloudHypervisor);
  EXPECT_TRUE(Until(
      [&] { return IsManaged("a") && IsManaged("b") && IsManaged("c"); }));
  silos_.at("b")->Die(/*clean=*/true);
  EXPECT_TRUE(Until([&] { return Status().vms.size() == 2; }));
  EXPECT_EQ(View("b"), std::nullopt);
  // Another one in its place.
  silos_.at("b")->balloon().set_size(MiB(64));
  silos_.at("b")->Listen();
  EXPECT_TRUE(Until([&] { return IsManaged("b"); }));
  EXPECT_TRUE(Until([&] { return BalloonOf("b").size() == Bytes(0); }));
  const std::string log = Stop();
  EXPECT_THAT(log, AllOf(HasSubstr("silo 'b' runs under crosvm"),
                         HasSubstr("silo 'b' has ended")));
}

TEST_F(BalloondTest, ManySilosAtOnceAreAllFound) {
  Start();
  constexpr Hypervisor kKinds[] = {Hypervisor::kQemu, Hypervisor::kCrosvm,
                                   Hypervisor::kCloudHypervisor};
  for (int i = 0; i < 10; ++i) Add(absl::StrCat("s", i), kKinds[i % 3]);
  EXPECT_TRUE(Until([&] {
    int managed = 0;
    for (const balloon::Status::Vm& vm : Status().vms) {
      if (vm.is_managed) ++managed;
    }
    return managed == 10;
  }));
  Stop();
}

TEST_F(BalloondTest, AHungSiloDelaysNobody) {
  for (const Hypervisor kind :
       {Hypervisor::kQemu, Hypervisor::kCrosvm, Hypervisor::kCloudHypervisor}) {
    const std::string name = absl::StrCat("hung-", config::ToString(kind));
    Add(name, kind).set_fault(hypervisor::Fault::kSilence);
  }
  Add("work", Hypervisor::kQemu);
  BalloonOf("work").set_size(MiB(512));
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == Bytes(0); }));
  const int64_t before = Status().rounds;
  EXPECT_TRUE(Until([&] { return Status().rounds >= before + 20; }));
  EXPECT_FALSE(IsManaged("hung-qemu"));
  EXPECT_NE(View("hung-qemu")->error, "");
  // Stopping does not wait for them either.
  Stop();
}

TEST_F(BalloondTest, FaultsOfOneHypervisorAreItsOwn) {
  using hypervisor::Fault;
  Add("work", Hypervisor::kQemu);
  int number = 0;
  for (const Fault fault :
       {Fault::kEnd, Fault::kReset, Fault::kNoJson, Fault::kUnknown,
        Fault::kError, Fault::kHuge, Fault::kTruncated, Fault::kExtraFds}) {
    for (const Hypervisor kind : {Hypervisor::kQemu, Hypervisor::kCrosvm,
                                  Hypervisor::kCloudHypervisor}) {
      Add(absl::StrCat("f", number++), kind).set_fault(fault);
    }
  }
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  const int64_t before = Status().rounds;
  EXPECT_TRUE(Until([&] { return Status().rounds >= before + 10; }));
  EXPECT_TRUE(IsManaged("work"));
  Stop();
}

TEST_F(BalloondTest, ADryRunOnlySaysWhatItWouldDo) {
  Add("work", Hypervisor::kQemu);
  BalloonOf("work").set_size(MiB(512));
  Start({"--dry-run"});
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  const int64_t before = Status().rounds;
  EXPECT_TRUE(Until([&] { return Status().rounds >= before + 5; }));
  EXPECT_EQ(BalloonOf("work").size(), MiB(512));
  EXPECT_EQ(Status().resizes, 0);
  EXPECT_THAT(Stop(),
              HasSubstr("silo 'work': balloon would go from 512 MiB to 0 MiB"));
}

TEST_F(BalloondTest, OnceLooksTwiceDoesItAndEnds) {
  Add("work", Hypervisor::kCrosvm);
  BalloonOf("work").set_size(MiB(512));
  child_.emplace(ChildProcess::Start({.argv = CommandLine({"--once"})}));
  EXPECT_TRUE(Until([&] { return BalloonOf("work").target() == Bytes(0); }));
  const ChildProcess::Result result = child_->Wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(BalloondTest, OnceWithoutSilosEndsAtOnce) {
  const ChildProcess::Result result = RunProcess(CommandLine({"--once"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(BalloondTest, KilledWhileAGuestGivesItLeavesTheBalloonAndGoesOn) {
  Add("work", Hypervisor::kQemu);
  BalloonOf("work").set_step(MiB(1));
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  EXPECT_THAT(Ask(balloon::SetRequest{.vm = "work", .balloon = 400 * kMiB}),
              IsOk());
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() >= MiB(20); }));
  child_->Signal(SIGKILL);
  EXPECT_EQ(child_->Wait().signal, SIGKILL);
  EXPECT_EQ(BalloonOf("work").target(), MiB(400));
  // The person's wish was kept; the next one finds what is there.
  Start();
  EXPECT_TRUE(Until([&] { return View("work").has_value(); }));
  EXPECT_EQ(View("work")->fixed, 400 * kMiB);
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == MiB(400); }));
  Stop();
}

TEST_F(BalloondTest, KilledAtAnyMomentItsSuccessorStartsFromWhatItFinds) {
  Add("work", Hypervisor::kQemu);
  BalloonOf("work").set_size(MiB(512));
  BalloonOf("work").set_step(MiB(8));
  for (int i = 0; i < 10; ++i) {
    Start();
    // Whenever that is: from before the first question to the last answer.
    for (int events = 0; events < i * 3; ++events) {
      ASSERT_THAT(loop_->RunOnce(absl::Milliseconds(20)), IsOk());
    }
    child_->Signal(SIGKILL);
    child_->Wait();
    // Nobody is asked for more than there was.
    EXPECT_LE(BalloonOf("work").target(), MiB(512));
  }
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == Bytes(0); }));
  Stop();
}

TEST_F(BalloondTest, WhatIsWrittenAboutASiloCountsAlsoWhenItChanges) {
  balloon::VmFile file = {.hypervisor = "qemu",
                          .unit = "vmsilo-work-vm.service",
                          .memory = GiB(1),
                          .excluded = "configuration"};
  run_.Write("work/balloon.json", balloon::PrintVmFile(file));
  Add("work", Hypervisor::kQemu);
  BalloonOf("work").set_size(MiB(512));
  Start();
  EXPECT_TRUE(Until([&] { return View("work").has_value(); }));
  EXPECT_EQ(View("work")->excluded, "configuration");
  const int64_t before = Status().rounds;
  EXPECT_TRUE(Until([&] { return Status().rounds >= before + 3; }));
  EXPECT_EQ(BalloonOf("work").size(), MiB(512));

  // This process is in no such unit: it is not spoken to.
  file.excluded = "";
  run_.Write("work/balloon.json", balloon::PrintVmFile(file));
  EXPECT_TRUE(Until([&] {
    const std::optional<balloon::Status::Vm> vm = View("work");
    return vm && absl::StrContains(vm->error, "vmsilo-work-vm.service");
  }));
  EXPECT_EQ(BalloonOf("work").size(), MiB(512));

  ASSERT_TRUE(std::filesystem::remove(run_.Path("work/balloon.json")));
  EXPECT_TRUE(Until([&] { return BalloonOf("work").size() == Bytes(0); }));
  Stop();
}

TEST_F(BalloondTest, ReadsAgainOnSighup) {
  Add("work", Hypervisor::kQemu);
  Start();
  EXPECT_TRUE(Until([&] { return IsManaged("work"); }));
  for (int i = 0; i < 3; ++i) child_->Signal(SIGHUP);
  const int64_t before = Status().rounds;
  EXPECT_TRUE(Until([&] { return Status().rounds >= before + 3; }));
  EXPECT_TRUE(IsManaged("work"));
  Stop();
}

TEST_F(BalloondTest, ThereIsOneForARunDirectory) {
  Start();
  const ChildProcess::Result second = RunProcess(CommandLine({}));
  EXPECT_EQ(second.exit_code, 75);
  EXPECT_THAT(second.err, HasSubstr("another vmsilo-balloond serves"));
  // The first has not noticed.
  EXPECT_THAT(Ask(balloon::StatusRequest()), IsOk());
  Stop();
  Start();
  Stop();
}

TEST_F(BalloondTest, TheControlSocketIsItsOwnersAndGoesWithIt) {
  Start();
  struct stat info = {};
  ASSERT_EQ(stat(run_.Path(".balloond/control.socket").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600);
  EXPECT_EQ(info.st_uid, geteuid());
  Stop();
  EXPECT_FALSE(std::filesystem::exists(run_.Path(".balloond/control.socket")));
}

TEST_F(BalloondTest, WritesMetrics) {
  Add("work", Hypervisor::kCrosvm);
  Start({"--metrics-file", other_.Path("vmsilo.prom")});
  EXPECT_TRUE(Until(
      [&] { return std::filesystem::exists(other_.Path("vmsilo.prom")); }));
  EXPECT_THAT(ReadFile(other_.Path("vmsilo.prom"), 1 << 20),
              IsOkAndHolds(HasSubstr("# EOF\n")));
  Stop();
  // Nothing half-written is left beside it.
  EXPECT_FALSE(std::filesystem::exists(other_.Path(".vmsilo.prom.new")));
}

TEST_F(BalloondTest, SaysWhatItNeedsARunDirectory) {
  const ChildProcess::Result result = RunProcess(
      {Runfile("balloond/vmsilo-balloond"), "--run-dir", run_.Path("absent")});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("absent' is not there; silos' units"));
}

struct UsageCase {
  const char* name;
  std::vector<std::string> options;
  const char* error;
};
class UsageTest : public BalloondTest,
                  public testing::WithParamInterface<UsageCase> {};
TEST_P(UsageTest, IsRefused) {
  const ChildProcess::Result result =
      RunProcess(CommandLine(GetParam().options));
  EXPECT_EQ(result.exit_code, 64) << result.err;
  EXPECT_THAT(result.err, HasSubstr(GetParam().error));
}
INSTANTIATE_TEST_SUITE_P(
    All, UsageTest,
    testing::ValuesIn(std::vector<UsageCase>{
        {"Policy", {"--policy", "fair"}, "--policy: 'fair' is not one of"},
        {"PollTooShort",
         {"--poll-interval", "99ms"},
         "--poll-interval: 99ms is not between 100ms and 1m"},
        {"PollTooLong", {"--poll-interval", "61s"}, "--poll-interval:"},
        {"NegativePoll", {"--poll-interval", "-1s"}, "--poll-interval:"},
        {"MinTooShort",
         {"--min-poll-interval", "49ms"},
         "--min-poll-interval: 49ms is not between 50ms and 1m"},
        {"MinAbovePoll",
         {"--min-poll-interval", "101ms"},
         "--min-poll-interval: 101ms is more than --poll-interval, 100ms"},
        {"Ceiling", {"--psi-ceiling", "100.5"}, "--psi-ceiling: '100.5'"},
        {"NoCeiling", {"--psi-ceiling", "nan"}, "--psi-ceiling: 'nan'"},
        {"HostPercent",
         {"--critical-host-percent", "0.5"},
         "--critical-host-percent: '0.5' is not between 1 and 50"},
        {"Size",
         {"--critical-guest-available", "400MB"},
         "--critical-guest-available:"},
        {"HugeSize",
         {"--guest-available-bias", "17T"},
         "--guest-available-bias: 17T is more than 16T"},
        {"RunDir", {"--run-dir", "run"}, "--run-dir: expected an absolute"},
        {"LongRunDir",
         {"--run-dir", "/" + std::string(100, 'x')},
         "--run-dir:"},
        {"Metrics", {"--metrics-file", "m"}, "--metrics-file:"},
        {"Owner", {"--owner", "alice"}, "--owner:"},
        {"Unknown", {"--frobnicate"}, "frobnicate"},
        {"Operand", {"now"}, "now"},
    }),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace vmsilo::balloond
