// The clients of all three hypervisors against fakes that behave, and that do
// not.

#include "hypervisor/client.h"

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/make_client.h"
#include "hypervisor/testing/fake_hypervisor.h"

namespace vmsilo::hypervisor {
namespace {

using config::Hypervisor;
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

class ClientTest : public TestWithParam<Hypervisor> {
 protected:
  ClientTest()
      : loop_(*SdEventLoop::Create()),
        path_(dir_.Path("control.socket")),
        fake_(loop_.get(), GetParam(), path_),
        client_(MakeClient(loop_.get(), GetParam(), path_)) {}

  absl::Status PressPowerButton(absl::Duration deadline = kLong) {
    std::optional<absl::Status> result;
    client_->PressPowerButton(deadline,
                              [&](absl::Status status) { result = status; });
    EXPECT_TRUE(RunUntil(loop_.get(), [&] { return result.has_value(); }));
    return result.value_or(absl::UnknownError("no result"));
  }

  absl::Status Stop(absl::Duration deadline = kLong) {
    std::optional<absl::Status> result;
    client_->Stop(deadline, [&](absl::Status status) { result = status; });
    EXPECT_TRUE(RunUntil(loop_.get(), [&] { return result.has_value(); }));
    return result.value_or(absl::UnknownError("no result"));
  }

  absl::Status Ping(absl::Duration deadline = kLong) {
    std::optional<absl::Status> result;
    client_->Ping(deadline, [&](absl::Status status) { result = status; });
    EXPECT_TRUE(RunUntil(loop_.get(), [&] { return result.has_value(); }));
    return result.value_or(absl::UnknownError("no result"));
  }

  absl::StatusOr<VmStatus> QueryStatus(absl::Duration deadline = kLong) {
    std::optional<absl::StatusOr<VmStatus>> result;
    client_->QueryStatus(deadline, [&](absl::StatusOr<VmStatus> status) {
      result = std::move(status);
    });
    EXPECT_TRUE(RunUntil(loop_.get(), [&] { return result.has_value(); }));
    if (!result) return absl::UnknownError("no result");
    return *std::move(result);
  }

  TempDir dir_;
  std::unique_ptr<SdEventLoop> loop_;
  std::string path_;
  FakeHypervisor fake_;
  std::unique_ptr<Client> client_;
};

TEST_P(ClientTest, PressesThePowerButton) {
  EXPECT_THAT(PressPowerButton(), IsOk());
  EXPECT_EQ(fake_.power_button_presses(), 1);
}

TEST_P(ClientTest, Stops) {
  EXPECT_THAT(Stop(), IsOk());
  EXPECT_TRUE(fake_.is_stopped());
}

TEST_P(ClientTest, Pings) { EXPECT_THAT(Ping(), IsOk()); }

TEST_P(ClientTest, QueriesTheStatus) {
  const absl::StatusOr<VmStatus> status = QueryStatus();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, VmStatus::State::kRunning);
  switch (GetParam()) {
    case Hypervisor::kCrosvm:
      EXPECT_EQ(status->pid, 4242);
      break;
    case Hypervisor::kCloudHypervisor:
      EXPECT_EQ(status->version, "53.0.0");
      EXPECT_EQ(status->pid, 1234);
      EXPECT_EQ(status->memory, GiB(1));
      break;
    case Hypervisor::kQemu:
      EXPECT_EQ(status->version, "7.2.22");
      EXPECT_EQ(status->word, "running");
      break;
  }
}

TEST_P(ClientTest, AnswersInOrder) {
  std::string order;
  client_->Ping(kLong, [&](absl::Status) { order += "a"; });
  client_->PressPowerButton(kLong, [&](absl::Status) { order += "b"; });
  client_->QueryStatus(kLong, [&](absl::StatusOr<VmStatus>) { order += "c"; });
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return order.size() == 3; }));
  EXPECT_EQ(order, "abc");
}

TEST_P(ClientTest, HoldsNoConnectionBetweenCalls) {
  ASSERT_THAT(Ping(), IsOk());
  EXPECT_TRUE(
      RunUntil(loop_.get(), [this] { return fake_.connections() == 0; }));
}

TEST_P(ClientTest, SurvivesARestart) {
  ASSERT_THAT(Ping(), IsOk());
  fake_.Die(/*clean=*/false);
  EXPECT_THAT(Ping(), StatusIs(absl::StatusCode::kUnavailable));
  fake_.Listen();
  EXPECT_THAT(Ping(), IsOk());
  fake_.Die(/*clean=*/true);
  EXPECT_THAT(Ping(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(ClientTest, MayBeDestroyedByItsHandler) {
  bool is_done = false;
  client_->Ping(kLong, [&](absl::Status) {
    client_.reset();
    is_done = true;
  });
  client_->Ping(kLong, [](absl::Status) { ADD_FAILURE() << "was dropped"; });
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return is_done; }));
}

TEST_P(ClientTest, MayCallFromItsHandler) {
  bool is_done = false;
  client_->Ping(kLong, [&](absl::Status) {
    client_->Ping(kLong, [&](absl::Status status) {
      EXPECT_THAT(status, IsOk());
      is_done = true;
    });
  });
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return is_done; }));
}

TEST_P(ClientTest, NeverTakesALateAnswerForTheNext) {
  fake_.set_fault(Fault::kLate);
  EXPECT_THAT(PressPowerButton(kShort),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  fake_.AnswerLate();
  fake_.set_fault(Fault::kNone);
  const absl::StatusOr<VmStatus> status = QueryStatus();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, VmStatus::State::kRunning);
}

TEST_P(ClientTest, ASlowCallDelaysTheNextOnlyUntilItsDeadline) {
  fake_.set_fault(Fault::kSilence);
  std::optional<absl::Status> first;
  std::optional<absl::Status> second;
  client_->PressPowerButton(kShort, [&](absl::Status status) {
    first = status;
    fake_.set_fault(Fault::kNone);
  });
  client_->PressPowerButton(kLong,
                            [&](absl::Status status) { second = status; });
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return second.has_value(); }));
  EXPECT_THAT(*first, StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(*second, IsOk());
}

TEST_P(ClientTest, TheDeadlineCountsWhileWaitingInLine) {
  fake_.set_fault(Fault::kSilence);
  std::optional<absl::Status> second;
  client_->PressPowerButton(kLong, [](absl::Status) {});
  client_->PressPowerButton(kShort,
                            [&](absl::Status status) { second = status; });
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return second.has_value(); }));
  EXPECT_THAT(*second, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_P(ClientTest, LeaksNoDescriptors) {
  ASSERT_THAT(Ping(), IsOk());
  ASSERT_TRUE(
      RunUntil(loop_.get(), [this] { return fake_.connections() == 0; }));
  const int before = OpenFds();
  fake_.set_fault(Fault::kExtraFds);
  for (int i = 0; i < 5; ++i) EXPECT_THAT(PressPowerButton(), IsOk());
  ASSERT_TRUE(
      RunUntil(loop_.get(), [this] { return fake_.connections() == 0; }));
  EXPECT_EQ(OpenFds(), before);
}

TEST_P(ClientTest, FollowsNoSymbolicLink) {
  const std::string link = dir_.Path("link.socket");
  ASSERT_EQ(symlink("control.socket", link.c_str()), 0);
  client_ = MakeClient(loop_.get(), GetParam(), link);
  EXPECT_THAT(Ping(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("symbolic link")));
  EXPECT_EQ(fake_.accepted(), 0);
}

TEST_P(ClientTest, RefusesAFileThatIsNoSocket) {
  client_ = MakeClient(loop_.get(), GetParam(), dir_.Write("file", "text"));
  EXPECT_THAT(Ping(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("not a socket")));
}

TEST_P(ClientTest, RefusesASocketOfAnotherType) {
  const std::string path = dir_.Path("datagrams");
  const int type =
      SocketType(GetParam()) == SOCK_STREAM ? SOCK_SEQPACKET : SOCK_STREAM;
  const auto listener = ListenUnix(path, 0600, type);
  ASSERT_THAT(listener, IsOk());
  client_ = MakeClient(loop_.get(), GetParam(), path);
  EXPECT_THAT(Ping(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("another type")));
}

TEST_P(ClientTest, AcceptsAPeerOfTheSameUnit) {
  client_ = MakeClient(loop_.get(), GetParam(), path_, getpid());
  EXPECT_THAT(Ping(), IsOk());
}

INSTANTIATE_TEST_SUITE_P(All, ClientTest,
                         Values(Hypervisor::kQemu, Hypervisor::kCrosvm,
                                Hypervisor::kCloudHypervisor),
                         [](const auto& test) { return NameOf(test.param); });

struct FaultCase {
  Hypervisor kind;
  const char* name;
  Fault fault;
  absl::StatusCode power_button;
  absl::StatusCode stop;
};

class FaultTest : public TestWithParam<FaultCase> {};

TEST_P(FaultTest, EndsInTheRightStatus) {
  TempDir dir;
  const std::unique_ptr<SdEventLoop> loop = *SdEventLoop::Create();
  const std::string path = dir.Path("control.socket");
  FakeHypervisor fake(loop.get(), GetParam().kind, path);
  fake.set_fault(GetParam().fault);
  const std::unique_ptr<Client> client =
      MakeClient(loop.get(), GetParam().kind, path);
  const absl::Duration deadline =
      GetParam().fault == Fault::kSilence ? kShort : kLong;

  std::optional<absl::Status> result;
  const auto done = [&](absl::Status status) { result = status; };
  client->PressPowerButton(deadline, done);
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  EXPECT_THAT(*result, StatusIs(GetParam().power_button));

  result.reset();
  client->Stop(deadline, done);
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  EXPECT_THAT(*result, StatusIs(GetParam().stop));

  // And none of that is for ever.
  fake.set_fault(Fault::kNone);
  result.reset();
  client->Ping(kLong, done);
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  EXPECT_THAT(*result, IsOk());
}

std::vector<FaultCase> FaultCases() {
  using absl::StatusCode;
  std::vector<FaultCase> cases;
  for (const Hypervisor kind :
       {Hypervisor::kQemu, Hypervisor::kCrosvm, Hypervisor::kCloudHypervisor}) {
    const auto add = [&](const char* name, Fault fault, StatusCode power_button,
                         StatusCode stop) {
      cases.push_back({kind, name, fault, power_button, stop});
    };
    const bool is_crosvm = kind == Hypervisor::kCrosvm;
    add("Silence", Fault::kSilence, StatusCode::kDeadlineExceeded,
        StatusCode::kDeadlineExceeded);
    // The end of the connection is what "stop" asks for, once it was asked.
    add("End", Fault::kEnd, StatusCode::kUnavailable, StatusCode::kOk);
    add("NoJson", Fault::kNoJson, StatusCode::kDataLoss, StatusCode::kDataLoss);
    add("Bytewise", Fault::kBytewise, StatusCode::kOk, StatusCode::kOk);
    add("ExtraFds", Fault::kExtraFds, StatusCode::kOk, StatusCode::kOk);
    add("Unknown", Fault::kUnknown, StatusCode::kDataLoss,
        StatusCode::kDataLoss);
    const StatusCode error = is_crosvm ? StatusCode::kUnimplemented
                                       : StatusCode::kFailedPrecondition;
    add("Error", Fault::kError, error, error);
    add("Huge", Fault::kHuge, StatusCode::kDataLoss, StatusCode::kDataLoss);
  }
  cases.push_back({Hypervisor::kQemu, "WrongId", Fault::kWrongId,
                   StatusCode::kDataLoss, StatusCode::kDataLoss});
  cases.push_back({Hypervisor::kCloudHypervisor, "Truncated", Fault::kTruncated,
                   StatusCode::kUnavailable, StatusCode::kUnavailable});
  cases.push_back({Hypervisor::kQemu, "Truncated", Fault::kTruncated,
                   StatusCode::kUnavailable, StatusCode::kOk});
  cases.push_back({Hypervisor::kCrosvm, "Truncated", Fault::kTruncated,
                   StatusCode::kDataLoss, StatusCode::kDataLoss});
  cases.push_back({Hypervisor::kCloudHypervisor, "Reset", Fault::kReset,
                   StatusCode::kUnavailable, StatusCode::kOk});
  cases.push_back({Hypervisor::kCrosvm, "Reset", Fault::kReset,
                   StatusCode::kUnavailable, StatusCode::kOk});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest, ::testing::ValuesIn(FaultCases()),
                         [](const auto& test) {
                           return NameOf(test.param.kind) + test.param.name;
                         });

// QEMU's monitor serves one client at a time.
TEST(QemuClientTest, WaitsForTheMonitorUntilTheDeadline) {
  TempDir dir;
  const std::unique_ptr<SdEventLoop> loop = *SdEventLoop::Create();
  const std::string path = dir.Path("control.socket");
  FakeHypervisor fake(loop.get(), Hypervisor::kQemu, path);
  absl::StatusOr<UniqueFd> other = ConnectUnix(path);
  ASSERT_THAT(other, IsOk());
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return fake.connections() == 1; }));

  const std::unique_ptr<Client> client =
      MakeClient(loop.get(), Hypervisor::kQemu, path);
  std::optional<absl::Status> result;
  client->Ping(kShort, [&](absl::Status status) { result = status; });
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  EXPECT_THAT(*result, StatusIs(absl::StatusCode::kDeadlineExceeded));

  result.reset();
  client->Ping(kLong, [&](absl::Status status) { result = status; });
  other->Reset();
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  EXPECT_THAT(*result, IsOk());
}

TEST(CloudHypervisorClientTest, SaysThatAllConnectionsAreTaken) {
  TempDir dir;
  const std::unique_ptr<SdEventLoop> loop = *SdEventLoop::Create();
  const std::string path = dir.Path("control.socket");
  FakeHypervisor fake(loop.get(), Hypervisor::kCloudHypervisor, path);
  std::vector<UniqueFd> others;
  for (size_t i = 1; i <= 10; ++i) {
    others.push_back(*ConnectUnix(path));
    ASSERT_TRUE(RunUntil(loop.get(), [&] { return fake.connections() == i; }));
  }
  const std::unique_ptr<Client> client =
      MakeClient(loop.get(), Hypervisor::kCloudHypervisor, path);
  std::optional<absl::Status> result;
  client->PressPowerButton(kLong,
                           [&](absl::Status status) { result = status; });
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  EXPECT_THAT(*result, StatusIs(absl::StatusCode::kUnavailable,
                                HasSubstr("Too many open connections")));
}

TEST(CloudHypervisorClientTest, AProcessWithoutAVm) {
  TempDir dir;
  const std::unique_ptr<SdEventLoop> loop = *SdEventLoop::Create();
  const std::string path = dir.Path("control.socket");
  FakeHypervisor fake(loop.get(), Hypervisor::kCloudHypervisor, path);
  fake.set_state("none");
  const std::unique_ptr<Client> client =
      MakeClient(loop.get(), Hypervisor::kCloudHypervisor, path);
  std::optional<absl::StatusOr<VmStatus>> result;
  client->QueryStatus(kLong, [&](absl::StatusOr<VmStatus> status) {
    result = std::move(status);
  });
  ASSERT_TRUE(RunUntil(loop.get(), [&] { return result.has_value(); }));
  ASSERT_THAT(*result, IsOk());
  EXPECT_EQ((*result)->state, VmStatus::State::kNone);
}

}  // namespace
}  // namespace vmsilo::hypervisor
