#include "balloond/metrics.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "balloon/message.h"
#include "balloond/controller.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

balloon::Status Example() {
  balloon::Status status = {.policy = "level", .rounds = 7, .queries = 14};
  status.host = {.total = 100,
                 .available = 50,
                 .free = 40,
                 .critical = 5,
                 .pressure = 12.5,
                 .exposure = 60};
  status.vms = {{.name = "net", .memory = 1000},
                {.name = "work",
                 .is_managed = true,
                 .memory = 4096,
                 .balloon = 100,
                 .target = 200,
                 .resident = 4,
                 .oom_kills = 5}};
  return status;
}

TEST(MetricsTest, HasWhatIsKnown) {
  Counters counters;
  counters.resizes[Reason::kStalled] = 3;
  counters.sample_errors = 9;
  const std::string text = MetricsText(Example(), counters);
  EXPECT_THAT(text, HasSubstr("vmsilo_balloond_rounds_total 7\n"));
  EXPECT_THAT(
      text, HasSubstr("vmsilo_balloond_resizes_total{reason=\"stalled\"} 3\n"));
  EXPECT_THAT(
      text, HasSubstr("vmsilo_balloond_resizes_total{reason=\"shared\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("vmsilo_balloond_sample_errors_total 9\n"));
  EXPECT_THAT(text, HasSubstr("vmsilo_host_exposure_bytes 60\n"));
  EXPECT_THAT(text, HasSubstr("vmsilo_host_pressure_ratio 0.12500\n"));
  EXPECT_THAT(text, HasSubstr("vmsilo_guest_balloon_bytes{silo=\"work\"} 100"));
  EXPECT_THAT(text, HasSubstr("vmsilo_guest_oom_kills_total{silo=\"work\"} 5"));
  EXPECT_THAT(text, HasSubstr("vmsilo_guest_managed{silo=\"net\"} 0\n"));
  // What is not known is absent, not 0.
  EXPECT_THAT(text, Not(HasSubstr("vmsilo_guest_balloon_bytes{silo=\"net\"}")));
  EXPECT_THAT(text, Not(HasSubstr("vmsilo_guest_free_bytes")));
}

// The rules of OpenMetrics that the text could break.
TEST(MetricsTest, IsOpenMetrics) {
  const std::string text = MetricsText(Example(), {});
  EXPECT_THAT(text, EndsWith("\n# EOF\n"));
  std::set<std::string> families;
  std::string family;
  std::string type;
  for (absl::string_view line :
       absl::StrSplit(absl::StripSuffix(text, "# EOF\n"), '\n')) {
    if (line.empty()) continue;
    if (absl::ConsumePrefix(&line, "# TYPE ")) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      ASSERT_EQ(words.size(), 2) << line;
      family = words[0];
      type = words[1];
      EXPECT_TRUE(families.insert(family).second) << "twice: " << family;
      continue;
    }
    if (absl::ConsumePrefix(&line, "# HELP ")) {
      EXPECT_TRUE(absl::StartsWith(line, family + " ")) << line;
      continue;
    }
    const std::string name(line.substr(0, line.find_first_of("{ ")));
    EXPECT_EQ(name, type == "counter" ? family + "_total" : family) << line;
  }
  EXPECT_GE(families.size(), 15);
}

TEST(MetricsTest, ANameCannotEndItsLabel) {
  balloon::Status status;
  status.vms = {{.name = "a\"} 1\nb\\", .memory = 1}};
  EXPECT_THAT(MetricsText(status, {}),
              HasSubstr("{silo=\"a\\\"} 1\\nb\\\\\"} 1\n"));
}

}  // namespace
}  // namespace vmsilo::balloond
