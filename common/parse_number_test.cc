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

TEST(ParseRealTest, TakesWhatToCharsPrints) {
  EXPECT_THAT(ParseReal("5", 1, 50), IsOkAndHolds(5.0));
  EXPECT_THAT(ParseReal("5.25", 1, 50), IsOkAndHolds(5.25));
  EXPECT_THAT(ParseReal("1e-05", 0, 1), IsOkAndHolds(1e-05));
  EXPECT_THAT(ParseReal("50", 1, 50), IsOkAndHolds(50.0));
}

TEST(ParseRealTest, RefusesWhatIsNoNumber) {
  for (const char* text : {"", " 1", "1 ", "+1", "0x10", "nan", "-nan", "inf",
                           "-inf", "infinity", "-", "1,5", "1.5%", "."}) {
    EXPECT_THAT(ParseReal(text, -1e300, 1e300),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("is not a number")))
        << text;
  }
}

TEST(ParseRealTest, RefusesWhatIsBeyondTheLimits) {
  for (const char* text : {"0.99", "50.01", "-5", "1e999"}) {
    EXPECT_THAT(ParseReal(text, 1, 50), StatusIs(absl::StatusCode::kOutOfRange,
                                                 HasSubstr("between 1 and 50")))
        << text;
  }
}

}  // namespace
}  // namespace vmsilo
