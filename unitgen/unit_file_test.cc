#include "unitgen/unit_file.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Matcher;

struct Case {
  const char* name;
  absl::string_view text;
  Matcher<absl::StatusOr<std::vector<Assignment>>> want;
};

class ParseUnitFileTest : public testing::TestWithParam<Case> {};

TEST_P(ParseUnitFileTest, Table) {
  EXPECT_THAT(ParseUnitFile(GetParam().text), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    All, ParseUnitFileTest,
    testing::ValuesIn(std::vector<Case>{
        {"Empty", "", IsOkAndHolds(IsEmpty())},
        {"CommentsOnly", "# a\n; b\n\n", IsOkAndHolds(IsEmpty())},
        {"Sections", "[Unit]\nAfter=a b\n[Service]\n Type = notify \n",
         IsOkAndHolds(ElementsAre(Assignment{"Unit", "After", "a b"},
                                  Assignment{"Service", "Type", "notify"}))},
        {"RepeatedAndEmpty", "[S]\nE=1\nE=\nE=2",
         IsOkAndHolds(ElementsAre(Assignment{"S", "E", "1"},
                                  Assignment{"S", "E", ""},
                                  Assignment{"S", "E", "2"}))},
        {"EqualsInTheValue", "[S]\nEnvironment=\"A=B\"\n",
         IsOkAndHolds(ElementsAre(Assignment{"S", "Environment", "\"A=B\""}))},
        {"ContinuedWithAComment", "[S]\nExecStart=/a \\\n# why\n  b \\\n  c\n",
         IsOkAndHolds(ElementsAre(Assignment{"S", "ExecStart",
                                             "/a    b    c"}))},
        {"HashInsideAValue", "[S]\nD=a #1\n",
         IsOkAndHolds(ElementsAre(Assignment{"S", "D", "a #1"}))},
        {"NoSection", "A=b\n",
         StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 1"))},
        {"NoEquals", "[S]\nA=b\nword\n",
         StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 3"))},
        {"NoKey", "[S]\n=b\n",
         StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 2"))},
        {"EndsInAContinuation", "[S]\nA=b \\",
         StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("last"))},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(UnitFileTest, TypesAndNames) {
  EXPECT_EQ(UnitType("vmsilo-a.b-vm.service"), "service");
  EXPECT_EQ(UnitType("vmsilo"), "");
  EXPECT_THAT(UnitNames(" a.service\tb.socket "),
              ElementsAre("a.service", "b.socket"));
}

}  // namespace
}  // namespace vmsilo::unitgen
