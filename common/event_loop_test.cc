#include "common/event_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/epoll_event_loop.h"
#include "common/sd_event_loop.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::Eq;

// Both back ends keep the same promises.
template <typename Loop>
class EventLoopTest : public ::testing::Test {
 protected:
  EventLoopTest() {
    auto loop = Loop::Create();
    EXPECT_THAT(loop, IsOk());
    loop_ = *std::move(loop);
    int fds[2];
    EXPECT_EQ(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
        0);
    near_ = UniqueFd(fds[0]);
    far_ = UniqueFd(fds[1]);
  }

  std::unique_ptr<Loop> loop_;
  UniqueFd near_, far_;
};

using Loops = ::testing::Types<SdEventLoop, EpollEventLoop>;
TYPED_TEST_SUITE(EventLoopTest, Loops);

TYPED_TEST(EventLoopTest, TellsWhatADescriptorIsReadyFor) {
  uint32_t seen = 0;
  auto source =
      this->loop_->AddIo(this->near_.get(), EPOLLIN, [&seen](uint32_t events) {
        seen = events;
        return absl::OkStatus();
      });
  ASSERT_THAT(source, IsOk());
  ASSERT_THAT(this->loop_->RunOnce(absl::ZeroDuration()), IsOk());
  EXPECT_EQ(seen, 0u);
  ASSERT_EQ(write(this->far_.get(), "x", 1), 1);
  EXPECT_TRUE(RunUntil(this->loop_.get(), [&seen] { return seen != 0; }));
  EXPECT_EQ(seen, static_cast<uint32_t>(EPOLLIN));

  seen = 0;
  ASSERT_THAT(source->SetEvents(EPOLLOUT), IsOk());
  EXPECT_TRUE(RunUntil(this->loop_.get(), [&seen] { return seen != 0; }));
  EXPECT_EQ(seen, static_cast<uint32_t>(EPOLLOUT));
}

TYPED_TEST(EventLoopTest, ADestroyedSourceIsSilent) {
  int calls = 0;
  auto source =
      this->loop_->AddIo(this->near_.get(), EPOLLOUT, [&calls](uint32_t) {
        ++calls;
        return absl::OkStatus();
      });
  ASSERT_THAT(source, IsOk());
  source->Reset();
  ASSERT_THAT(this->loop_->RunOnce(absl::Milliseconds(1)), IsOk());
  EXPECT_EQ(calls, 0);
}

TYPED_TEST(EventLoopTest, AHandlerMayDestroyItsOwnSourceAndOthers) {
  std::optional<Source> first, second;
  int calls = 0;
  const std::string captured(100, 'c');  // read after the source has gone
  auto handler = [&, captured](uint32_t) {
    first.reset();
    second.reset();
    ++calls;
    return captured.size() == 100 ? absl::OkStatus()
                                  : absl::InternalError("gone");
  };
  auto a = this->loop_->AddIo(this->near_.get(), EPOLLOUT, handler);
  auto b = this->loop_->AddIo(this->far_.get(), EPOLLOUT, handler);
  ASSERT_THAT(a, IsOk());
  ASSERT_THAT(b, IsOk());
  first = *std::move(a);
  second = *std::move(b);
  EXPECT_TRUE(RunUntil(this->loop_.get(), [&calls] { return calls > 0; }));
  ASSERT_THAT(this->loop_->RunOnce(absl::Milliseconds(1)), IsOk());
  EXPECT_EQ(calls, 1);
}

TYPED_TEST(EventLoopTest, ATimerFiresOnceAndAgainWhenSet) {
  int calls = 0;
  auto timer = this->loop_->AddTimer(absl::ZeroDuration(), [&calls] {
    ++calls;
    return absl::OkStatus();
  });
  ASSERT_THAT(timer, IsOk());
  EXPECT_TRUE(RunUntil(this->loop_.get(), [&calls] { return calls == 1; }));
  ASSERT_THAT(this->loop_->RunOnce(absl::Milliseconds(5)), IsOk());
  EXPECT_EQ(calls, 1);
  ASSERT_THAT(timer->SetTimer(absl::Milliseconds(1)), IsOk());
  EXPECT_TRUE(RunUntil(this->loop_.get(), [&calls] { return calls == 2; }));
}

TYPED_TEST(EventLoopTest, AHandlersErrorEndsRun) {
  auto timer = this->loop_->AddTimer(
      absl::ZeroDuration(), [] { return absl::DataLossError("broken"); });
  ASSERT_THAT(timer, IsOk());
  EXPECT_THAT(this->loop_->Run(),
              StatusIs(absl::StatusCode::kDataLoss, Eq("broken")));
}

TYPED_TEST(EventLoopTest, QuitEndsRun) {
  auto timer = this->loop_->AddTimer(absl::ZeroDuration(), [this] {
    this->loop_->Quit();
    return absl::OkStatus();
  });
  ASSERT_THAT(timer, IsOk());
  EXPECT_THAT(this->loop_->Run(), IsOk());
}

TYPED_TEST(EventLoopTest, TermEndsRunWithSuccess) {
  auto timer = this->loop_->AddTimer(absl::ZeroDuration(), [] {
    return raise(SIGTERM) == 0 ? absl::OkStatus() : absl::InternalError("");
  });
  ASSERT_THAT(timer, IsOk());
  EXPECT_THAT(this->loop_->Run(), IsOk());
}

TYPED_TEST(EventLoopTest, TermDoesNoHarmFromTheStartOn) {
  EXPECT_THAT(this->loop_->Run([] { raise(SIGTERM); }), IsOk());
}

TYPED_TEST(EventLoopTest, DeliversSignals) {
  int calls = 0;
  auto source = this->loop_->AddSignal(SIGUSR1, [&calls] {
    ++calls;
    return absl::OkStatus();
  });
  ASSERT_THAT(source, IsOk());
  ASSERT_EQ(raise(SIGUSR1), 0);
  EXPECT_TRUE(RunUntil(this->loop_.get(), [&calls] { return calls == 1; }));
}

}  // namespace
}  // namespace vmsilo
