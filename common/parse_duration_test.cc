#include "common/parse_duration.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

TEST(ParseDurationTest, ReadsUnitsAndFractions) {
  struct Case {
    absl::string_view text;
    absl::Duration want;
  };
  for (const Case& c : std::vector<Case>{
           {"0", absl::ZeroDuration()},
           {"2", absl::Seconds(2)},
           {"2s", absl::Seconds(2)},
           {"100ms", absl::Milliseconds(100)},
           {"1.5s", absl::Milliseconds(1500)},
           {"0.001ms", absl::Microseconds(1)},
           {"250us", absl::Microseconds(250)},
           {"5m", absl::Minutes(5)},
           {"5min", absl::Minutes(5)},
           {"3h", absl::Hours(3)},
           {"1d", absl::Hours(24)},
       }) {
    EXPECT_THAT(ParseDuration(c.text), IsOkAndHolds(c.want)) << c.text;
  }
}

TEST(ParseDurationTest, RefusesEverythingElse) {
  for (const char* text : {"", "s", "-1s", "+1s", " 1s", "1 s", "1S", "inf",
                           "1h30m", "1e3s", "1.s", "nan", "0.0000000001s"}) {
    EXPECT_THAT(ParseDuration(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(ParseDurationTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(ParseDuration("200000d"),
              StatusIs(absl::StatusCode::kOutOfRange));
}

}  // namespace
}  // namespace vmsilo
