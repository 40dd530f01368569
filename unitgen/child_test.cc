#include "unitgen/child.h"

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::HasSubstr;

TEST(RunChildTest, GivesInputAndOutput) {
  const auto result =
      RunChild({"cat"}, std::string(1 << 20, 'x'), absl::Seconds(30), 1 << 21);
  ASSERT_THAT(result.status(), IsOk());
  EXPECT_EQ(result->exit_status, 0);
  EXPECT_EQ(result->out, std::string(1 << 20, 'x'));
}

TEST(RunChildTest, CutsTheOutput) {
  EXPECT_EQ(RunChild({"cat"}, "abcdef", absl::Seconds(30), 3)->out, "abc");
}

TEST(RunChildTest, TellsHowItEnded) {
  EXPECT_EQ(RunChild({"/bin/sh", "-c", "exit 7"}, "", absl::Seconds(30), 9)
                ->exit_status,
            7);
  EXPECT_EQ(
      RunChild({"/bin/sh", "-c", "kill -TERM $$"}, "", absl::Seconds(30), 9)
          ->exit_status,
      128 + 15);
}

TEST(RunChildTest, AProgramThatIsMissingIsNotFound) {
  EXPECT_THAT(
      RunChild({"/nonexistent/program"}, "", absl::Seconds(30), 9).status(),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("program")));
}

TEST(RunChildTest, AProgramThatDoesNotEndIsKilled) {
  EXPECT_THAT(
      RunChild({"sleep", "1000"}, "", absl::Milliseconds(20), 9).status(),
      StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("'sleep'")));
}

}  // namespace
}  // namespace vmsilo::unitgen
