#include "cli/console_query.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "console/message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kDeadline = absl::Seconds(20);

class ConsoleQueryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<SdEventLoop>> loop = SdEventLoop::Create();
    ASSERT_THAT(loop, IsOk());
    loop_ = *std::move(loop);
    query_.emplace(loop_.get(), [this](absl::StatusOr<console::Status> answer) {
      EXPECT_FALSE(answer_.has_value());
      answer_ = std::move(answer);
    });
  }

  void Listen() {
    absl::StatusOr<UniqueFd> listener =
        ListenUnix(socket_, 0600, SOCK_SEQPACKET);
    ASSERT_THAT(listener, IsOk());
    listener_ = *std::move(listener);
  }

  // What a relay gets, having been asked.
  std::string Accepted() {
    absl::StatusOr<UniqueFd> relay = Accept(listener_.get());
    EXPECT_THAT(relay, IsOk());
    relay_ = *std::move(relay);
    char packet[16];
    const ssize_t size = read(relay_.get(), packet, sizeof(packet));
    return std::string(packet, size < 0 ? 0 : size);
  }

  void Answer(absl::string_view packet) {
    ASSERT_EQ(send(relay_.get(), packet.data(), packet.size(), 0),
              static_cast<ssize_t>(packet.size()));
  }

  const absl::StatusOr<console::Status>& Await() {
    EXPECT_TRUE(RunUntil(
        loop_.get(), [this] { return answer_.has_value(); }, kDeadline));
    return *answer_;
  }

  TempDir dir_;
  const std::string socket_ = dir_.Path("viewers");
  std::unique_ptr<SdEventLoop> loop_;
  UniqueFd listener_;
  UniqueFd relay_;
  std::optional<absl::StatusOr<console::Status>> answer_;
  std::optional<ConsoleQuery> query_;
};

TEST_F(ConsoleQueryTest, AsksAndIsAnswered) {
  Listen();
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  EXPECT_EQ(Accepted(), console::Encode(console::StatusRequest{}));
  const console::Status status = {
      .has_guest = true, .viewers = 2, .from_guest = 12345};
  Answer(console::Encode(status));
  EXPECT_THAT(Await(), IsOkAndHolds(status));
}

TEST_F(ConsoleQueryTest, NobodyIsThere) {
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ConsoleQueryTest, NobodyListensAnyMore) {
  Listen();
  listener_.Reset();
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ConsoleQueryTest, SilenceHasAnEnd) {
  Listen();
  ASSERT_THAT(query_->Start(socket_, absl::Milliseconds(1)), IsOk());
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(ConsoleQueryTest, ItHangsUp) {
  Listen();
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  Accepted();
  relay_.Reset();
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ConsoleQueryTest, ItRefuses) {
  Listen();
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  Accepted();
  Answer(console::Encode(
      console::Error{.code = 3, .message = "16 viewers\x1b[31m already"}));
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kResourceExhausted,
                                HasSubstr("16 viewers\\x1b[31m already")));
}

TEST_F(ConsoleQueryTest, ItAnswersSomethingElse) {
  Listen();
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  Accepted();
  Answer(console::Encode(console::Guest{.is_connected = true}));
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(ConsoleQueryTest, ItBreaksTheProtocol) {
  Listen();
  ASSERT_THAT(query_->Start(socket_, kDeadline), IsOk());
  Accepted();
  Answer("\x16short");
  EXPECT_THAT(Await(), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace vmsilo::cli
