#include "console-relay/backend_connector.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/socket.h"
#include "common/testing/fake_clock.h"
#include "common/testing/fake_event_loop.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace vmsilo::console_relay {
namespace {

class BackendConnectorTest : public testing::Test {
 protected:
  absl::StatusOr<UniqueFd> Listen() { return ListenUnix(path_, 0600); }

  const TempDir directory_;
  const std::string path_ = directory_.Path("serial");
  FakeClock clock_;
  FakeEventLoop loop_{&clock_};
  std::vector<UniqueFd> guests_;
  BackendConnector connector_{&loop_, path_, [this](UniqueFd guest) {
                                guests_.push_back(std::move(guest));
                                return absl::OkStatus();
                              }};
};

TEST_F(BackendConnectorTest, ReachesAtOnceWhoListens) {
  const absl::StatusOr<UniqueFd> listener = Listen();
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(connector_.Connect(), IsOk());
  EXPECT_EQ(guests_.size(), 1u);
  EXPECT_EQ(loop_.UntilNextTimer(), absl::InfiniteDuration());
}

TEST_F(BackendConnectorTest, AsksOftenForAStartAndThenSeldom) {
  EXPECT_THAT(connector_.Connect(), IsOk());
  EXPECT_EQ(loop_.UntilNextTimer(), absl::Milliseconds(5));
  loop_.Advance(absl::Seconds(5) - absl::Milliseconds(5));
  EXPECT_EQ(loop_.UntilNextTimer(), absl::Milliseconds(100));
  const absl::StatusOr<UniqueFd> listener = Listen();
  ASSERT_THAT(listener, IsOk());
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(guests_.size(), 1u);
  EXPECT_EQ(loop_.UntilNextTimer(), absl::InfiniteDuration());
}

// Also after a long wait for the connection that has ended.
TEST_F(BackendConnectorTest, DoesNotCallWhoHangsUpWithoutAPause) {
  EXPECT_THAT(connector_.Connect(), IsOk());
  loop_.Advance(absl::Seconds(10));
  const absl::StatusOr<UniqueFd> listener = Listen();
  ASSERT_THAT(listener, IsOk());
  loop_.Advance(absl::Milliseconds(100));
  for (size_t calls = 1; calls < 10; ++calls) {
    ASSERT_EQ(guests_.size(), calls);
    EXPECT_THAT(connector_.ConnectAgain(), IsOk());
    EXPECT_EQ(guests_.size(), calls);
    loop_.Advance(absl::Milliseconds(5));
  }
}

}  // namespace
}  // namespace vmsilo::console_relay
