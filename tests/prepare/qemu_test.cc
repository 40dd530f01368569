// vmsilo-prepare as it is shipped, and the QEMU client, against a real QEMU.
// Without a kernel its firmware looks for one for ever: enough for everything
// but a guest that obeys the power button.

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/make_client.h"

namespace vmsilo {
namespace {

using hypervisor::Client;
using hypervisor::VmStatus;
using ::testing::HasSubstr;

constexpr char kQemu[] = "/usr/bin/qemu-system-x86_64";
constexpr absl::Duration kLong = absl::Seconds(20);

class QemuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(access(kQemu, X_OK), 0)
        << "this test needs QEMU: apt-get install qemu-system-x86";
  }

  ChildProcess StartQemu(std::vector<std::string> more = {}) {
    std::vector<std::string> argv = {
        kQemu,      "-accel",
        "tcg",      "-nodefaults",
        "-display", "none",
        "-m",       "32",
        "-qmp",     absl::StrCat("unix:", path_, ",server=on,wait=off"),
    };
    argv.insert(argv.end(), more.begin(), more.end());
    return ChildProcess::Start({.argv = std::move(argv)});
  }

  std::vector<std::string> Wait() {
    return {Runfile("prepare/vmsilo-prepare"), "wait", "--socket", path_};
  }

  std::vector<std::string> PowerOff(const std::string& timeout) {
    return {Runfile("prepare/vmsilo-prepare"),
            "power-off",
            "--hypervisor",
            "qemu",
            "--control",
            path_,
            "--timeout",
            timeout};
  }

  absl::StatusOr<VmStatus> QueryStatus(absl::Duration deadline = kLong) {
    const std::unique_ptr<Client> client =
        hypervisor::MakeClient(loop_.get(), config::Hypervisor::kQemu, path_);
    std::optional<absl::StatusOr<VmStatus>> result;
    client->QueryStatus(deadline, [&](absl::StatusOr<VmStatus> status) {
      result = std::move(status);
    });
    EXPECT_TRUE(RunUntil(
        loop_.get(), [&] { return result.has_value(); }, kLong));
    if (!result) return absl::UnknownError("no result");
    return *std::move(result);
  }

  TempDir dir_;
  const std::string path_ = dir_.Path("qemu-control.socket");
  const std::unique_ptr<SdEventLoop> loop_ = *SdEventLoop::Create();
};

TEST_F(QemuTest, WaitSeesItListen) {
  ChildProcess wait = ChildProcess::Start({.argv = Wait()});
  ChildProcess qemu = StartQemu();
  EXPECT_EQ(wait.Wait().exit_code, 0);
  EXPECT_THAT(QueryStatus(), IsOk());
}

TEST_F(QemuTest, WaitSeesItFail) {
  ChildProcess qemu = StartQemu({"-no-such-option"});
  std::vector<std::string> argv = Wait();
  argv.insert(argv.end(), {"--pid", absl::StrCat(qemu.pid())});
  const auto result = RunProcess(argv);
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("ended before it listened"));
}

TEST_F(QemuTest, TellsItsState) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  const absl::StatusOr<VmStatus> status = QueryStatus();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, VmStatus::State::kRunning);
  EXPECT_NE(status->version, "");
}

TEST_F(QemuTest, TellsThatItIsPaused) {
  ChildProcess qemu = StartQemu({"-S"});
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  const absl::StatusOr<VmStatus> status = QueryStatus();
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(status->state, VmStatus::State::kPaused);
}

TEST_F(QemuTest, ServesTheNextClientWhenTheLastHasGone) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  absl::StatusOr<UniqueFd> other = ConnectUnix(path_);
  ASSERT_THAT(other, IsOk());
  char byte = 0;
  // Its greeting: now it holds the monitor.
  while (read(other->get(), &byte, 1) != 1) {
  }
  EXPECT_THAT(QueryStatus(absl::Milliseconds(200)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  other->Reset();
  EXPECT_THAT(QueryStatus(), IsOk());
}

TEST_F(QemuTest, Stops) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  const std::unique_ptr<Client> client = hypervisor::MakeClient(
      loop_.get(), config::Hypervisor::kQemu, path_, qemu.pid());
  std::optional<absl::Status> result;
  client->Stop(kLong, [&](absl::Status status) { result = status; });
  ASSERT_TRUE(RunUntil(
      loop_.get(), [&] { return result.has_value(); }, kLong));
  EXPECT_THAT(*result, IsOk());
  EXPECT_EQ(qemu.Wait().exit_code, 0);
}

TEST_F(QemuTest, PowerOffSaysThatNothingObeys) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  const auto result = RunProcess(PowerOff("500ms"));
  EXPECT_EQ(result.exit_code, 75);
  EXPECT_THAT(result.err, HasSubstr("has not done so within 500ms"));
}

TEST_F(QemuTest, PowerOffSeesItEnd) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  ChildProcess power_off = ChildProcess::Start({.argv = PowerOff("60s")});
  power_off.ReadStderrUntil("asked the guest");
  // What a guest's power-off does to the process.
  qemu.Signal(SIGTERM);
  EXPECT_EQ(power_off.Wait().exit_code, 0);
}

TEST_F(QemuTest, PowerOffSeesItKilled) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  ChildProcess power_off = ChildProcess::Start({.argv = PowerOff("60s")});
  power_off.ReadStderrUntil("asked the guest");
  qemu.Signal(SIGKILL);
  EXPECT_EQ(power_off.Wait().exit_code, 0);
  // A stale socket is left behind, and nothing to power off.
  EXPECT_EQ(RunProcess(PowerOff("60s")).exit_code, 0);
}

TEST_F(QemuTest, PowerOffDoesNotHangOnAStoppedQemu) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  qemu.Signal(SIGSTOP);
  const auto result = RunProcess(PowerOff("500ms"));
  EXPECT_EQ(result.exit_code, 75);
  EXPECT_THAT(result.err, HasSubstr("could not be asked"));
}

TEST_F(QemuTest, FollowsNoLinkToItsSocket) {
  ChildProcess qemu = StartQemu();
  ASSERT_EQ(RunProcess(Wait()).exit_code, 0);
  ASSERT_EQ(symlink("qemu-control.socket", dir_.Path("link").c_str()), 0);
  std::vector<std::string> argv = PowerOff("5s");
  argv[5] = dir_.Path("link");
  const auto result = RunProcess(argv);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("symbolic link"));
}

}  // namespace
}  // namespace vmsilo
