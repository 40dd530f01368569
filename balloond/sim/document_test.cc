#include "balloond/sim/document.h"

#include "absl/status/status.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

using ::testing::HasSubstr;

TEST(ReplacePartTest, LeavesTheRestAsItIs) {
  EXPECT_THAT(ReplacePart("before\n<!-- begin a -->\nold\n<!-- end a -->\n"
                          "after\n",
                          "a", "new\n"),
              IsOkAndHolds("before\n<!-- begin a -->\n\nnew\n\n"
                           "<!-- end a -->\nafter\n"));
}

TEST(ReplacePartTest, IsTheSameASecondTime) {
  const auto once =
      ReplacePart("<!-- begin a -->\n<!-- end a -->\n", "a", "new\n");
  ASSERT_THAT(once, IsOk());
  EXPECT_THAT(ReplacePart(*once, "a", "new\n"), IsOkAndHolds(*once));
}

TEST(ReplacePartTest, RefusesWhatHasNoSuchPart) {
  EXPECT_THAT(ReplacePart("", "a", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("begin a")));
  EXPECT_THAT(ReplacePart("<!-- end a -->\n<!-- begin a -->\n", "a", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("end a")));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
