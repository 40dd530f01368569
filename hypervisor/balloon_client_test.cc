// The balloons' clients of all three hypervisors against fakes that behave, and
// that do not.

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/make_client.h"
#include "hypervisor/testing/fake_balloon.h"
#include "hypervisor/testing/fake_hypervisor.h"

namespace vmsilo::hypervisor {
namespace {

using absl::StatusCode;
using config::Hypervisor;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::Values;

// Long enough for a busy machine, and only waited for in a failing test.
constexpr absl::Duration kLong = absl::Seconds(10);
// Waited for whole.
constexpr absl::Duration kShort = absl::Milliseconds(50);

int OpenFds() {
  int count = 0;
  DIR* dir = opendir("/proc/self/fd");
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

std::string NameOf(Hypervisor kind) {
  switch (kind) {
    case Hypervisor::kCrosvm:
      return "Crosvm";
    case Hypervisor::kCloudHypervisor:
      return "CloudHypervisor";
    case Hypervisor::kQemu:
      break;
  }
  return "Qemu";
}

// The real time, and what a test adds to it.
class ShiftedClock : public Clock {
 public:
  absl::Time Now() const override { return clock_.Now() + shift_; }
  void Advance(absl::Duration by) { shift_ += by; }

 private:
  MonotonicClock clock_;
  absl::Duration shift_;
};

// A VM and its balloon's client.
class Vm {
 public:
  explicit Vm(Hypervisor kind)
      : kind_(kind), fake_(loop_.get(), kind, dir_.Path("control.socket")) {
    MakeClient(dir_.Path("control.socket"));
  }

  void MakeClient(const std::string& path,
                  std::optional<std::string> unit = std::nullopt,
                  std::function<void(pid_t)> on_peer = nullptr) {
    client_ = MakeBalloonClient(loop_.get(), &clock_, kind_, path,
                                std::move(unit), std::move(on_peer));
  }

  absl::StatusOr<BalloonSample> Query(absl::Duration deadline = kLong) {
    std::optional<absl::StatusOr<BalloonSample>> result;
    client_->Query(deadline, [&](absl::StatusOr<BalloonSample> sample) {
      EXPECT_FALSE(result.has_value());
      result = std::move(sample);
    });
    EXPECT_FALSE(result.has_value());
    EXPECT_TRUE(RunUntil([&] { return result.has_value(); }));
    if (!result) return absl::UnknownError("no result");
    return *std::move(result);
  }

  absl::Status SetSize(Bytes size, absl::Duration deadline = kLong) {
    std::optional<absl::Status> result;
    client_->SetSize(size, deadline, [&](absl::Status status) {
      EXPECT_FALSE(result.has_value());
      result = status;
    });
    EXPECT_FALSE(result.has_value());
    EXPECT_TRUE(RunUntil([&] { return result.has_value(); }));
    return result.value_or(absl::UnknownError("no result"));
  }

  bool RunUntil(const std::function<bool()>& predicate) {
    return vmsilo::RunUntil(loop_.get(), predicate);
  }

  void Restart() {
    fake_.Die(/*clean=*/true);
    fake_.Listen();
  }

  void Advance(absl::Duration by) { clock_.Advance(by); }
  EventLoop* loop() { return loop_.get(); }
  const TempDir& dir() const { return dir_; }
  FakeHypervisor& fake() { return fake_; }
  FakeBalloon& balloon() { return fake_.balloon(); }
  BalloonClient* client() { return client_.get(); }
  void DropClient() { client_.reset(); }

 private:
  Hypervisor kind_;
  TempDir dir_;
  std::unique_ptr<SdEventLoop> loop_ = *SdEventLoop::Create();
  ShiftedClock clock_;
  FakeHypervisor fake_;
  std::unique_ptr<BalloonClient> client_;
};

class BalloonClientTest : public TestWithParam<Hypervisor> {
 protected:
  Vm vm_{GetParam()};
};

TEST_P(BalloonClientTest, TellsWhatTheGuestTells) {
  vm_.balloon().set_size(MiB(100));
  const absl::StatusOr<BalloonSample> sample = vm_.Query();
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->size, MiB(100));
  ASSERT_TRUE(sample->guest.has_value());
  EXPECT_EQ(sample->guest, vm_.balloon().Statistics());
  EXPECT_GE(sample->age, absl::ZeroDuration());
  if (GetParam() == Hypervisor::kCrosvm) {
    EXPECT_EQ(sample->memory, std::nullopt);
  } else {
    EXPECT_EQ(sample->memory, GiB(1));
  }
}

TEST_P(BalloonClientTest, EverySampleIsTheGuestsLatest) {
  for (int i = 1; i <= 5; ++i) {
    vm_.balloon().set_size(MiB(50 * i));
    const absl::StatusOr<BalloonSample> sample = vm_.Query();
    ASSERT_THAT(sample, IsOk());
    EXPECT_EQ(sample->size, MiB(50 * i));
    EXPECT_EQ(sample->guest, vm_.balloon().Statistics());
  }
}

// Whatever the hypervisor calls it: balloon bytes.
TEST_P(BalloonClientTest, TheSameRequestsMakeTheSameBalloon) {
  for (const Bytes size : {MiB(300), MiB(612), MiB(100), Bytes()}) {
    EXPECT_THAT(vm_.SetSize(Bytes(size.count() + 12345)), IsOk());
    EXPECT_EQ(vm_.balloon().target(), size);
    EXPECT_TRUE(vm_.RunUntil([&] { return vm_.balloon().size() == size; }));
    const absl::StatusOr<BalloonSample> sample = vm_.Query();
    ASSERT_THAT(sample, IsOk());
    EXPECT_EQ(sample->size, size);
  }
}

TEST_P(BalloonClientTest, FollowsAGuestThatIsStuckOrShort) {
  vm_.balloon().set_stuck_at(MiB(200));
  EXPECT_THAT(vm_.SetSize(MiB(500)), IsOk());
  EXPECT_TRUE(vm_.RunUntil([&] { return vm_.balloon().size() == MiB(200); }));
  vm_.balloon().DeflateOnOom(MiB(64));
  const absl::StatusOr<BalloonSample> sample = vm_.Query();
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->size, MiB(136));
}

TEST_P(BalloonClientTest, KeepsItsConnections) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(vm_.Query(), IsOk());
    ASSERT_THAT(vm_.SetSize(MiB(100 + i)), IsOk());
  }
  EXPECT_EQ(vm_.fake().accepted(), GetParam() == Hypervisor::kCrosvm ? 2 : 1);
}

TEST_P(BalloonClientTest, QueryAndSizeAtTheSameTime) {
  std::optional<absl::StatusOr<BalloonSample>> sample;
  std::optional<absl::Status> resized;
  vm_.client()->SetSize(MiB(100), kLong,
                        [&](absl::Status status) { resized = status; });
  vm_.client()->Query(kLong, [&](absl::StatusOr<BalloonSample> result) {
    sample = std::move(result);
  });
  ASSERT_TRUE(vm_.RunUntil([&] { return sample && resized; }));
  EXPECT_THAT(*resized, IsOk());
  EXPECT_THAT(*sample, IsOk());
}

TEST_P(BalloonClientTest, TakesOneQueryAndOneSizeAtATime) {
  int done = 0;
  for (int i = 0; i < 3; ++i) {
    vm_.client()->Query(kLong, [&](absl::StatusOr<BalloonSample> sample) {
      // Those that were refused are called first.
      EXPECT_EQ(sample.status().code(),
                ++done < 3 ? StatusCode::kResourceExhausted : StatusCode::kOk);
    });
  }
  EXPECT_EQ(done, 0);
  EXPECT_TRUE(vm_.RunUntil([&] { return done == 3; }));
  done = 0;
  for (int i = 0; i < 2; ++i) {
    vm_.client()->SetSize(MiB(8), kLong, [&](absl::Status status) {
      EXPECT_EQ(status.code(),
                ++done < 2 ? StatusCode::kResourceExhausted : StatusCode::kOk);
    });
  }
  EXPECT_TRUE(vm_.RunUntil([&] { return done == 2; }));
}

TEST_P(BalloonClientTest, SurvivesARestart) {
  ASSERT_THAT(vm_.Query(), IsOk());
  ASSERT_THAT(vm_.SetSize(MiB(4)), IsOk());
  vm_.fake().Die(/*clean=*/false);
  EXPECT_THAT(vm_.Query(), StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(vm_.SetSize(MiB(4)), StatusIs(StatusCode::kUnavailable));
  vm_.fake().Listen();
  EXPECT_THAT(vm_.Query(), IsOk());
  EXPECT_THAT(vm_.SetSize(MiB(8)), IsOk());
  vm_.fake().Die(/*clean=*/true);
  ASSERT_TRUE(vm_.RunUntil([&] {
    return absl::IsNotFound(vm_.Query().status()) &&
           absl::IsNotFound(vm_.SetSize(MiB(4)));
  }));
}

TEST_P(BalloonClientTest, MayBeDestroyedByItsHandlers) {
  bool is_done = false;
  vm_.client()->SetSize(MiB(1), kLong, [&](absl::Status) {});
  vm_.client()->Query(kLong, [&](absl::StatusOr<BalloonSample>) {
    vm_.DropClient();
    is_done = true;
  });
  EXPECT_TRUE(vm_.RunUntil([&] { return is_done; }));
}

// At the end of the connection both calls end, and the first one's handler
// takes the second along.
TEST_P(BalloonClientTest, DroppedCallsAreNotHeardOf) {
  vm_.fake().set_fault(Fault::kSilence);
  bool is_done = false;
  vm_.client()->Query(kLong, [&](absl::StatusOr<BalloonSample>) {
    EXPECT_FALSE(std::exchange(is_done, true));
    vm_.DropClient();
  });
  vm_.client()->SetSize(MiB(1), kLong, [&](absl::Status status) {
    // crosvm's is refused at once.
    if (absl::IsResourceExhausted(status)) return;
    EXPECT_FALSE(std::exchange(is_done, true));
    vm_.DropClient();
  });
  ASSERT_TRUE(vm_.RunUntil([&] { return vm_.fake().accepted() > 0; }));
  vm_.fake().Die(/*clean=*/true);
  EXPECT_TRUE(vm_.RunUntil([&] { return is_done; }));
}

TEST_P(BalloonClientTest, MayCallFromItsHandler) {
  bool is_done = false;
  vm_.client()->Query(kLong, [&](absl::StatusOr<BalloonSample>) {
    vm_.client()->Query(kLong, [&](absl::StatusOr<BalloonSample> sample) {
      EXPECT_THAT(sample, IsOk());
      is_done = true;
    });
  });
  EXPECT_TRUE(vm_.RunUntil([&] { return is_done; }));
}

TEST_P(BalloonClientTest, WaitsForADriver) {
  if (GetParam() == Hypervisor::kQemu) {
    // A VM in which none has ever been.
    vm_.balloon().ForgetDriver();
  } else {
    vm_.balloon().UnloadDriver();
  }
  EXPECT_THAT(vm_.Query(), StatusIs(StatusCode::kUnavailable));
  vm_.balloon().LoadDriver();
  EXPECT_THAT(vm_.Query(), IsOk());
}

TEST_P(BalloonClientTest, SaysThatThereIsNoBalloon) {
  vm_.balloon().set_exists(false);
  EXPECT_THAT(vm_.Query(), StatusIs(StatusCode::kUnimplemented));
  EXPECT_THAT(vm_.SetSize(MiB(1)),
              StatusIs(GetParam() == Hypervisor::kCloudHypervisor
                           ? StatusCode::kFailedPrecondition
                           : StatusCode::kUnimplemented));
}

// What it says when it comes to is never taken for what it was asked later.
TEST_P(BalloonClientTest, AGuestThatHangsForAWhile) {
  ASSERT_THAT(vm_.Query(), IsOk());
  vm_.Advance(absl::Seconds(2));
  vm_.balloon().set_answers(false);
  EXPECT_THAT(vm_.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));
  vm_.balloon().set_used(MiB(555));
  vm_.balloon().set_patience(absl::ZeroDuration());
  vm_.balloon().set_answers(true);
  absl::StatusOr<BalloonSample> sample = absl::UnknownError("");
  ASSERT_TRUE(vm_.RunUntil([&] {
    vm_.balloon().set_used(MiB(666));
    sample = vm_.Query();
    return !absl::IsResourceExhausted(sample.status());
  }));
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->guest, vm_.balloon().Statistics());
}

TEST_P(BalloonClientTest, NumbersAreTheGuestsOwn) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  GuestMemory memory;
  memory.free = Bytes(kMost - 1);
  memory.total = Bytes(uint64_t{1} << 63);
  memory.available = Bytes(kMost);
  memory.major_faults = kMost;
  vm_.balloon().set_statistics(memory);
  const absl::StatusOr<BalloonSample> sample = vm_.Query();
  ASSERT_THAT(sample, IsOk());
  if (GetParam() == Hypervisor::kQemu) {
    memory.available.reset();
    memory.major_faults.reset();
  }
  EXPECT_EQ(sample->guest, memory);
}

TEST_P(BalloonClientTest, LeaksNoDescriptors) {
  ASSERT_THAT(vm_.Query(), IsOk());
  ASSERT_THAT(vm_.SetSize(MiB(1)), IsOk());
  const int before = OpenFds();
  vm_.fake().set_fault(Fault::kExtraFds);
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(vm_.Query(), IsOk());
    EXPECT_THAT(vm_.SetSize(MiB(1)), IsOk());
  }
  EXPECT_EQ(OpenFds(), before);
}

TEST_P(BalloonClientTest, FollowsNoSymbolicLink) {
  const std::string link = vm_.dir().Path("link.socket");
  ASSERT_EQ(symlink("control.socket", link.c_str()), 0);
  vm_.MakeClient(link);
  EXPECT_THAT(vm_.Query(), StatusIs(StatusCode::kFailedPrecondition,
                                    HasSubstr("symbolic link")));
  EXPECT_THAT(vm_.SetSize(MiB(1)), StatusIs(StatusCode::kFailedPrecondition,
                                            HasSubstr("symbolic link")));
  EXPECT_EQ(vm_.fake().accepted(), 0);
}

TEST_P(BalloonClientTest, RefusesAPeerOfAnotherUnit) {
  vm_.MakeClient(vm_.dir().Path("control.socket"), "vmsilo-other-vm.service");
  EXPECT_THAT(vm_.Query(), StatusIs(StatusCode::kFailedPrecondition,
                                    HasSubstr("vmsilo-other-vm.service")));
}

TEST_P(BalloonClientTest, TellsWhoseSocketItIsForEachConnection) {
  vm_.balloon().LoadDriver();
  std::vector<pid_t> peers;
  vm_.MakeClient(vm_.dir().Path("control.socket"), std::nullopt,
                 [&peers](pid_t pid) { peers.push_back(pid); });
  EXPECT_THAT(vm_.Query(), IsOk());
  ASSERT_FALSE(peers.empty());
  const size_t before = peers.size();
  vm_.Restart();
  // The end of the old connection may come first.
  EXPECT_TRUE(vm_.RunUntil([&] {
    (void)vm_.Query();
    return peers.size() > before;
  }));
  EXPECT_THAT(peers, Each(getpid()));
}

INSTANTIATE_TEST_SUITE_P(All, BalloonClientTest,
                         Values(Hypervisor::kQemu, Hypervisor::kCrosvm,
                                Hypervisor::kCloudHypervisor),
                         [](const auto& test) { return NameOf(test.param); });

// ---- Faults ----

struct FaultCase {
  Hypervisor kind;
  const char* name;
  Fault fault;
  StatusCode query;
  StatusCode size;
};

class BalloonFaultTest : public TestWithParam<FaultCase> {};

TEST_P(BalloonFaultTest, EndsInTheRightStatus) {
  const Fault fault = GetParam().fault;
  const bool is_silent = fault == Fault::kSilence || fault == Fault::kLate;
  const absl::Duration deadline = is_silent ? kShort : kLong;
  // From the first word on, and on a connection that was good.
  for (const bool has_connection : {false, true}) {
    Vm vm(GetParam().kind);
    if (has_connection) {
      ASSERT_THAT(vm.Query(), IsOk());
      ASSERT_THAT(vm.SetSize(MiB(2)), IsOk());
    }
    vm.fake().set_fault(fault);
    EXPECT_THAT(vm.Query(deadline), StatusIs(GetParam().query));
    // With a query outstanding crosvm's sizes take another way.
    if (GetParam().kind == Hypervisor::kCrosvm && is_silent) vm.Restart();
    ASSERT_TRUE(vm.RunUntil([&] {
      const absl::Status status = vm.SetSize(MiB(1), deadline);
      return status.code() == GetParam().size;
    }));

    // And none of that is for ever.
    vm.fake().set_fault(Fault::kNone);
    vm.fake().AnswerLate();
    EXPECT_TRUE(vm.RunUntil([&] { return vm.Query().ok(); }));
    EXPECT_TRUE(vm.RunUntil([&] { return vm.SetSize(MiB(3)).ok(); }));
    EXPECT_EQ(vm.balloon().target(), MiB(3));
  }
}

std::vector<FaultCase> FaultCases() {
  std::vector<FaultCase> cases;
  for (const Hypervisor kind :
       {Hypervisor::kQemu, Hypervisor::kCrosvm, Hypervisor::kCloudHypervisor}) {
    const auto add = [&](const char* name, Fault fault, StatusCode query,
                         StatusCode size) {
      cases.push_back({kind, name, fault, query, size});
    };
    const bool is_crosvm = kind == Hypervisor::kCrosvm;
    add("Silence", Fault::kSilence, StatusCode::kDeadlineExceeded,
        StatusCode::kDeadlineExceeded);
    add("Late", Fault::kLate, StatusCode::kDeadlineExceeded,
        StatusCode::kDeadlineExceeded);
    add("End", Fault::kEnd, StatusCode::kUnavailable, StatusCode::kUnavailable);
    add("Reset", Fault::kReset, StatusCode::kUnavailable,
        StatusCode::kUnavailable);
    add("NoJson", Fault::kNoJson, StatusCode::kDataLoss, StatusCode::kDataLoss);
    add("Unknown", Fault::kUnknown, StatusCode::kDataLoss,
        StatusCode::kDataLoss);
    add("Huge", Fault::kHuge, StatusCode::kDataLoss, StatusCode::kDataLoss);
    const StatusCode half =
        is_crosvm ? StatusCode::kDataLoss : StatusCode::kUnavailable;
    add("Truncated", Fault::kTruncated, half, half);
    add("Bytewise", Fault::kBytewise, StatusCode::kOk, StatusCode::kOk);
    add("ExtraFds", Fault::kExtraFds, StatusCode::kOk, StatusCode::kOk);
  }
  cases.push_back({Hypervisor::kQemu, "WrongId", Fault::kWrongId,
                   StatusCode::kDataLoss, StatusCode::kDataLoss});
  cases.push_back({Hypervisor::kQemu, "Error", Fault::kError,
                   StatusCode::kFailedPrecondition,
                   StatusCode::kFailedPrecondition});
  cases.push_back({Hypervisor::kCrosvm, "Error", Fault::kError,
                   StatusCode::kUnimplemented, StatusCode::kUnimplemented});
  cases.push_back({Hypervisor::kCloudHypervisor, "Error", Fault::kError,
                   StatusCode::kUnavailable, StatusCode::kFailedPrecondition});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, BalloonFaultTest,
                         ::testing::ValuesIn(FaultCases()),
                         [](const auto& test) {
                           return NameOf(test.param.kind) + test.param.name;
                         });

// ---- crosvm ----

TEST(CrosvmBalloonTest, QueuesOneRequestForStatisticsAtMost) {
  Vm vm(Hypervisor::kCrosvm);
  ASSERT_THAT(vm.Query(), IsOk());
  vm.balloon().set_answers(false);
  EXPECT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(vm.Query(), StatusIs(StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(vm.balloon().crosvm_queue(), 1u);
  EXPECT_EQ(vm.fake().accepted(), 1);
}

TEST(CrosvmBalloonTest, GivesMemoryBackToAGuestThatOwesStatistics) {
  Vm vm(Hypervisor::kCrosvm);
  ASSERT_THAT(vm.SetSize(MiB(500)), IsOk());
  ASSERT_TRUE(vm.RunUntil([&] { return vm.balloon().size() == MiB(500); }));
  ASSERT_THAT(vm.Query(), IsOk());
  vm.balloon().set_answers(false);
  ASSERT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));

  // To take more could take effect at any later time.
  EXPECT_THAT(vm.SetSize(MiB(501)), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(vm.SetSize(MiB(400)), IsOk());
  EXPECT_TRUE(vm.RunUntil([&] { return vm.balloon().target() == MiB(400); }));
  EXPECT_THAT(vm.SetSize(MiB(300)), IsOk());
  EXPECT_TRUE(vm.RunUntil([&] { return vm.balloon().target() == MiB(300); }));
  EXPECT_EQ(vm.balloon().crosvm_queue(), 1u);

  // It comes to: all is as before.
  vm.balloon().set_answers(true);
  absl::StatusOr<BalloonSample> sample = absl::UnknownError("");
  EXPECT_TRUE(vm.RunUntil([&] {
    sample = vm.Query();
    return sample.ok() && sample->size == MiB(300);
  }));
  EXPECT_THAT(vm.SetSize(MiB(600)), IsOk());
  EXPECT_TRUE(vm.RunUntil([&] { return vm.balloon().size() == MiB(600); }));
}

TEST(CrosvmBalloonTest, AsksForABoundedNumberOfSizesBlindly) {
  Vm vm(Hypervisor::kCrosvm);
  vm.balloon().set_answers(false);
  ASSERT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));
  // Nothing is known of the balloon; none at all is no more than there is.
  EXPECT_THAT(vm.SetSize(MiB(1)), StatusIs(StatusCode::kResourceExhausted));
  int taken = 0;
  while (taken < 1000 && vm.SetSize(Bytes()).ok()) ++taken;
  EXPECT_EQ(taken, 32);
}

// Before June 2026 it does not say that there is no driver: it says nothing.
TEST(CrosvmBalloonTest, WaitsForADriverInSilence) {
  Vm vm(Hypervisor::kCrosvm);
  vm.balloon().set_checks_driver(false);
  vm.balloon().UnloadDriver();
  EXPECT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(vm.Query(kShort), StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(vm.balloon().crosvm_queue(), 1u);
  vm.balloon().LoadDriver();
  EXPECT_TRUE(vm.RunUntil([&] { return vm.Query().ok(); }));
}

TEST(CrosvmBalloonTest, SaysThatThereIsNoDriver) {
  Vm vm(Hypervisor::kCrosvm);
  vm.balloon().UnloadDriver();
  EXPECT_THAT(vm.SetSize(MiB(1)), StatusIs(StatusCode::kUnavailable));
}

// ---- Cloud Hypervisor ----

TEST(CloudHypervisorBalloonTest, DoesWithoutStatistics) {
  Vm vm(Hypervisor::kCloudHypervisor);
  vm.balloon().set_has_statistics(false);
  for (int i = 0; i < 3; ++i) {
    vm.balloon().set_size(MiB(100 + i));
    const absl::StatusOr<BalloonSample> sample = vm.Query();
    ASSERT_THAT(sample, IsOk());
    EXPECT_EQ(sample->size, MiB(100 + i));
    EXPECT_EQ(sample->memory, GiB(1));
    EXPECT_EQ(sample->guest, std::nullopt);
  }
  EXPECT_EQ(vm.fake().accepted(), 1);
}

TEST(CloudHypervisorBalloonTest, AGuestThatDoesNotAnswerInTime) {
  Vm vm(Hypervisor::kCloudHypervisor);
  vm.balloon().set_answers(false);
  vm.balloon().set_patience(absl::Milliseconds(10));
  EXPECT_THAT(vm.Query(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("No statistics")));
  EXPECT_EQ(vm.fake().accepted(), 1);
}

TEST(CloudHypervisorBalloonTest, AProcessWithoutAVm) {
  Vm vm(Hypervisor::kCloudHypervisor);
  vm.fake().set_state("none");
  EXPECT_THAT(vm.Query(), StatusIs(StatusCode::kUnavailable,
                                   HasSubstr("VM is not created")));
  vm.fake().set_state("running");
  EXPECT_THAT(vm.Query(), IsOk());
}

TEST(CloudHypervisorBalloonTest, SaysThatAllConnectionsAreTaken) {
  Vm vm(Hypervisor::kCloudHypervisor);
  std::vector<UniqueFd> others;
  for (size_t i = 1; i <= 10; ++i) {
    others.push_back(*ConnectUnix(vm.dir().Path("control.socket")));
    ASSERT_TRUE(vm.RunUntil([&] { return vm.fake().connections() == i; }));
  }
  EXPECT_THAT(vm.Query(), StatusIs(StatusCode::kUnavailable,
                                   HasSubstr("Too many open connections")));
  others.clear();
  EXPECT_TRUE(vm.RunUntil([&] { return vm.Query().ok(); }));
}

// ---- QEMU ----

TEST(QemuBalloonTest, TellsThatTheBalloonHasChanged) {
  Vm vm(Hypervisor::kQemu);
  vm.fake().set_change_interval(absl::Milliseconds(20));
  std::optional<Bytes> told;
  vm.client()->OnChange([&](Bytes size) { told = size; });
  ASSERT_THAT(vm.SetSize(MiB(640)), IsOk());
  // The first of the steps, and then the last.
  EXPECT_TRUE(vm.RunUntil([&] { return told == MiB(64); }));
  EXPECT_TRUE(vm.RunUntil([&] { return told == MiB(640); }));
  vm.balloon().DeflateOnOom(MiB(40));
  EXPECT_TRUE(vm.RunUntil([&] { return told == MiB(600); }));
}

TEST(QemuBalloonTest, WakesTheGuestOnlyWhenItIsAsked) {
  Vm vm(Hypervisor::kQemu);
  const int at_boot = vm.balloon().collected();
  for (int i = 1; i <= 3; ++i) {
    vm.balloon().set_used(MiB(200 + i));
    ASSERT_THAT(vm.Query(), IsOk());
    EXPECT_EQ(vm.balloon().collected(), at_boot + i);
  }
  // A day.
  EXPECT_EQ(vm.balloon().interval(), 86400);
}

// All that could differ is the date, and that has whole seconds.
TEST(QemuBalloonTest, SaysHowOldASampleMayBe) {
  Vm vm(Hypervisor::kQemu);
  vm.balloon().set_used(MiB(300));
  vm.balloon().set_date(1'000'000);
  const absl::StatusOr<BalloonSample> first = vm.Query();
  ASSERT_THAT(first, IsOk());
  vm.balloon().set_size(MiB(7));
  vm.balloon().set_statistics(first->guest);
  const absl::StatusOr<BalloonSample> second = vm.Query();
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->guest, first->guest);
  EXPECT_EQ(second->size, MiB(7));
  EXPECT_GE(second->age, absl::Milliseconds(30));
}

TEST(QemuBalloonTest, AskedAgainItIsNotTheOldAnswer) {
  Vm vm(Hypervisor::kQemu);
  ASSERT_THAT(vm.Query(), IsOk());
  vm.Advance(absl::Seconds(2));
  vm.balloon().set_answers(false);
  ASSERT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));
  // It answers when nobody waits for it, and then hangs again.
  vm.balloon().set_used(MiB(300));
  vm.balloon().set_answers(true);
  vm.balloon().set_answers(false);
  vm.balloon().set_used(MiB(400));
  EXPECT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded));
  vm.balloon().set_answers(true);
  const absl::StatusOr<BalloonSample> sample = vm.Query();
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->guest, vm.balloon().Statistics());
}

TEST(QemuBalloonTest, WaitsForAGuestThatTakesItsTime) {
  Vm vm(Hypervisor::kQemu);
  vm.balloon().set_answer_delay(absl::Milliseconds(40));
  vm.balloon().set_used(MiB(300));
  const absl::StatusOr<BalloonSample> sample = vm.Query();
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->guest, vm.balloon().Statistics());
  EXPECT_GE(sample->age, absl::Milliseconds(40));
}

TEST(QemuBalloonTest, TakesNoMoreThanThereIs) {
  Vm vm(Hypervisor::kQemu);
  EXPECT_THAT(vm.SetSize(GiB(1)), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(vm.SetSize(MiB(1023)), IsOk());
  EXPECT_EQ(vm.balloon().target(), MiB(1023));
}

TEST(QemuBalloonTest, SaysThatAnotherProgramHoldsTheMonitor) {
  Vm vm(Hypervisor::kQemu);
  absl::StatusOr<UniqueFd> other = ConnectUnix(vm.dir().Path("control.socket"));
  ASSERT_THAT(other, IsOk());
  ASSERT_TRUE(vm.RunUntil([&] { return vm.fake().connections() == 1; }));
  EXPECT_THAT(vm.Query(kShort), StatusIs(StatusCode::kDeadlineExceeded,
                                         HasSubstr("another program")));
  other->Reset();
  EXPECT_TRUE(vm.RunUntil([&] { return vm.Query().ok(); }));
}

}  // namespace
}  // namespace vmsilo::hypervisor
