#include "prepare/power_off.h"

#include <signal.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/sd_event_loop.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/testing/fake_hypervisor.h"

namespace vmsilo::prepare {
namespace {

using config::Hypervisor;
using hypervisor::FakeHypervisor;
using hypervisor::Fault;
using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::Values;

// A child stands in for the hypervisor's process, the fake for its socket.
class PowerOffTest : public TestWithParam<Hypervisor> {
 protected:
  PowerOffTest()
      : loop_(*SdEventLoop::Create()),
        path_(dir_.Path("control.socket")),
        fake_(loop_.get(), GetParam(), path_),
        child_(ChildProcess::Start({.argv = {"/bin/cat"}})),
        pid_(child_.pid()) {
    // Until it has become cat, it has the fake's listener open.
    child_.Write("x");
    child_.ReadStdoutUntil("x");
  }

  absl::Status PowerOffWithin(absl::Duration timeout) {
    return PowerOff(loop_.get(), {.hypervisor = GetParam(),
                                  .control = path_,
                                  .pid = pid_,
                                  .timeout = timeout});
  }

  // Ends the child when the button has been pressed.
  void EndWhenPressed() {
    auto timer = loop_->AddTimer(absl::Milliseconds(5), [this] {
      if (fake_.power_button_presses() > 0) {
        child_.CloseStdin();
        return absl::OkStatus();
      }
      return poll_.SetTimer(absl::Milliseconds(5));
    });
    ASSERT_THAT(timer, IsOk());
    poll_ = *std::move(timer);
  }

  TempDir dir_;
  std::unique_ptr<SdEventLoop> loop_;
  std::string path_;
  FakeHypervisor fake_;
  ChildProcess child_;
  pid_t pid_;
  Source poll_;
};

TEST_P(PowerOffTest, WaitsForTheGuest) {
  EndWhenPressed();
  EXPECT_THAT(PowerOffWithin(absl::Seconds(10)), IsOk());
  EXPECT_EQ(fake_.power_button_presses(), 1);
}

TEST_P(PowerOffTest, SaysThatTheGuestTookNoNotice) {
  EXPECT_THAT(PowerOffWithin(absl::Milliseconds(100)),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("has not done so")));
}

TEST_P(PowerOffTest, DoesNotHangOnASilentHypervisor) {
  fake_.set_fault(Fault::kSilence);
  EXPECT_THAT(PowerOffWithin(absl::Milliseconds(100)),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("could not be asked")));
}

TEST_P(PowerOffTest, AProcessThatDiesMeanwhileIsGone) {
  fake_.set_fault(Fault::kEnd);
  EndWhenPressed();
  fake_.Die(/*clean=*/false);
  child_.Signal(SIGKILL);
  EXPECT_THAT(PowerOffWithin(absl::Seconds(10)), IsOk());
}

TEST_P(PowerOffTest, OneThatHasGoneIsGone) {
  child_.CloseStdin();
  child_.Wait();
  EXPECT_THAT(PowerOffWithin(absl::Seconds(10)), IsOk());
  EXPECT_EQ(fake_.accepted(), 0);
}

TEST_P(PowerOffTest, ASocketThatNobodyHasIsGone) {
  fake_.Die(/*clean=*/false);
  EXPECT_THAT(PowerOff(loop_.get(), {.hypervisor = GetParam(),
                                     .control = path_,
                                     .timeout = absl::Seconds(10)}),
              IsOk());
  fake_.Die(/*clean=*/true);
  EXPECT_THAT(PowerOff(loop_.get(), {.hypervisor = GetParam(),
                                     .control = path_,
                                     .timeout = absl::Seconds(10)}),
              IsOk());
}

TEST_P(PowerOffTest, SaysThatTheHypervisorRefuses) {
  fake_.set_fault(Fault::kError);
  const absl::Status status = PowerOffWithin(absl::Seconds(10));
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("refuses"));
}

INSTANTIATE_TEST_SUITE_P(All, PowerOffTest,
                         Values(Hypervisor::kQemu, Hypervisor::kCrosvm,
                                Hypervisor::kCloudHypervisor));

}  // namespace
}  // namespace vmsilo::prepare
