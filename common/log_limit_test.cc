#include "common/log_limit.h"

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "common/testing/fake_clock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

TEST(LogLimitTest, AllowsABurstAndThenOneInAnInterval) {
  FakeClock clock;
  LogLimit limit(&clock, /*burst=*/3, absl::Minutes(5));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Next(), uint64_t{0});
  EXPECT_EQ(limit.Next(), std::nullopt);
  clock.Advance(absl::Minutes(5) - absl::Seconds(1));
  EXPECT_EQ(limit.Next(), std::nullopt);
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(limit.Next(), uint64_t{2});
  EXPECT_EQ(limit.Next(), std::nullopt);
  clock.Advance(absl::Hours(24));
  EXPECT_EQ(limit.Next(), uint64_t{1});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(limit.Next(), uint64_t{0});
  EXPECT_EQ(limit.Next(), std::nullopt);
}

}  // namespace
}  // namespace vmsilo
