#include "common/parse_number.h"

#include <cstdint>

#include "absl/status/status.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

TEST(ParseNumberTest, TakesTheWholeRange) {
  EXPECT_THAT(ParseNumber<uint64_t>("18446744073709551615"),
              IsOkAndHolds(UINT64_MAX));
  EXPECT_THAT(ParseNumber<int64_t>("-9223372036854775808"),
              IsOkAndHolds(INT64_MIN));
  EXPECT_THAT(ParseNumber<int>("7", 7, 7), IsOkAndHolds(7));
}

TEST(ParseNumberTest, RefusesWhatIsBeyondTheLimits) {
  for (const char* text : {"18446744073709551616", "99999999999999999999"}) {
    EXPECT_THAT(ParseNumber<uint64_t>(text),
                StatusIs(absl::StatusCode::kOutOfRange));
  }
  EXPECT_THAT(
      ParseNumber<int>("8", 1, 7),
      StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("between 1 and 7")));
}

TEST(ParseNumberTest, RefusesWhatIsNoNumber) {
  for (const char* text :
       {"", " 1", "1 ", "+1", "0x10", "1e3", "1.0", "nan", "-", "1\n"}) {
    EXPECT_THAT(ParseNumber<int>(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_THAT(ParseNumber<unsigned>("-1"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace vmsilo
