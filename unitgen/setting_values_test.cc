#include "unitgen/setting_values.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

TEST(ExpectedInsteadTest, TakesWhatSystemdTakes) {
  struct Case {
    const char* key;
    std::vector<const char*> values;
  };
  for (const Case& test : std::vector<Case>{
           {"MemoryMax",
            {"0", "3G", "1.5G", " 512 M ", "1048576", "50%", "12.5%",
             "infinity", ""}},
           {"TasksMax", {"64", "10%", "infinity"}},
           {"CPUQuota", {"20%", "150%"}},
           {"CPUWeight", {"1", "10000", "idle"}},
           {"IOWeight", {"200"}},
           {"Nice", {"-20", "19"}},
           {"OOMScoreAdjust", {"-1000", "1000"}},
           {"NoNewPrivileges", {"yes", "NO", "1", "off", "t"}},
           // Unknown here.
           {"Slice", {"bananas"}},
       }) {
    for (const char* value : test.values) {
      EXPECT_EQ(ExpectedInstead(test.key, value), std::nullopt)
          << test.key << "=" << value;
    }
  }
}

TEST(ExpectedInsteadTest, SaysWhatSystemdWouldHaveTaken) {
  struct Case {
    const char* key;
    std::vector<const char*> values;
    const char* want;
  };
  for (const Case& test : std::vector<Case>{
           {"MemoryMax",
            {"bananas", "3g", "3GB", "1.G", ".5G", "-1", "%", "5 0%", "K"},
            "512M"},
           {"MemoryHigh", {"1 GiB"}, "512M"},
           {"TasksMax", {"0", "-1", "many"}, "a number"},
           {"CPUQuota", {"20", "half"}, "150%"},
           {"CPUWeight", {"0", "10001", "Idle"}, "idle"},
           {"IOWeight", {"idle"}, "10000"},
           {"Nice", {"20", "low"}, "19"},
           {"OOMScoreAdjust", {"1001"}, "1000"},
           {"NoNewPrivileges", {"maybe", "2"}, "yes or no"},
       }) {
    for (const char* value : test.values) {
      EXPECT_THAT(ExpectedInstead(test.key, value),
                  Optional(HasSubstr(test.want)))
          << test.key << "=" << value;
    }
  }
}

}  // namespace
}  // namespace vmsilo::unitgen
