#include "common/parse_size.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

TEST(ParseSizeTest, ReadsBinaryUnitsInEitherCase) {
  struct Case {
    absl::string_view text;
    uint64_t want;
  };
  for (const Case& c : std::vector<Case>{
           {"0", 0},
           {"4096", 4096},
           {"7B", 7},
           {"64k", 64 << 10},
           {"400m", 400ull << 20},
           {"400M", 400ull << 20},
           {"400MiB", 400ull << 20},
           {"1.5G", 3ull << 29},
           {"1.5GiB", 3ull << 29},
           {"0.25K", 256},
           {"2T", 2ull << 40},
           {"9223372036854775807", INT64_MAX},
       }) {
    EXPECT_THAT(ParseSize(c.text), IsOkAndHolds(Bytes(c.want))) << c.text;
  }
}

TEST(ParseSizeTest, RefusesEverythingElse) {
  for (const char* text :
       {"", "M", " 1M", "1 M", "-1M", "+1M", "1.M", ".5M", "1..5M", "1e3",
        "0x10", "1P", "1Mi", "nan", "inf", "1M\n", "0.3", "1.0001K"}) {
    EXPECT_THAT(ParseSize(text), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(ParseSizeTest, RefusesDecimalUnitsAndNamesTheBinaryOne) {
  EXPECT_THAT(ParseSize("400MB"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("MiB")));
}

TEST(ParseSizeTest, RefusesWhatDoesNotFit) {
  for (const char* text :
       {"9223372036854775808", "8388608T", "9999999999999999999T"}) {
    EXPECT_THAT(ParseSize(text), StatusIs(absl::StatusCode::kOutOfRange))
        << text;
  }
  // More digits than any size has are refused without reading them.
  EXPECT_THAT(ParseSize(std::string(1000, '9')),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FormatSizeTest, IsTheShortestTextThatReadsBack) {
  for (const char* text : {"0", "1000", "4K", "400M", "1536M", "3G", "2T"}) {
    const auto size = ParseSize(text);
    ASSERT_THAT(size, IsOk());
    EXPECT_EQ(FormatSize(*size), text);
  }
}

}  // namespace
}  // namespace vmsilo
