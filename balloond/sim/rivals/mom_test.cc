#include "balloond/sim/rivals/mom.h"

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

// The project has no vectors of its own for these rules; these were worked
// out from them by hand. MiB.
namespace vmsilo::balloond::sim {
namespace {

using ::testing::TestWithParam;
using ::testing::ValuesIn;

struct Case {
  const char* name;
  MomGuest guest;
  double host_free;
  std::optional<double> size;
};

class MomTest : public TestWithParam<Case> {};

TEST_P(MomTest, Sizes) {
  const std::optional<double> size =
      SizeAsMom(GetParam().guest, GetParam().host_free);
  ASSERT_EQ(size.has_value(), GetParam().size.has_value());
  if (size.has_value()) {
    EXPECT_NEAR(*size, *GetParam().size, 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, MomTest,
    ValuesIn(std::vector<Case>{
        {"ShrinksByATwentieth", {512, 4096, 4000, 4000, 3000}, 0.10, 3800},
        {"LeavesAGuestItsUseAndATenthAtHalfThePressure",
         {512, 4096, 1000, 1000, 140},
         0.10,
         960},
        {"TakesFromWhatIsUsedWhenItIsCritical",
         {512, 4096, 1000, 1000, 0},
         0.02,
         970},
        {"NeverBelowTheMinimum", {990, 4096, 1000, 1000, 900}, 0.10, 990},
        {"DoesNotGrowUnderPressure",
         {512, 4096, 1000, 1000, 50},
         0.19,
         std::nullopt},
        {"GrowsByATwentieth", {512, 4096, 1000, 1000, 500}, 0.50, 1050},
        {"GrowsFasterWhereAGuestIsShort",
         {512, 4096, 1000, 1000, 50},
         0.50,
         1150},
        {"NeverAboveTheMaximum", {512, 4096, 4000, 4000, 3000}, 0.50, 4096},
        {"IsContentAtTheMaximum",
         {512, 4096, 4096, 4096, 3000},
         0.50,
         std::nullopt},
        {"LetsSmallChangesBe",
         {512, 1001, 1000, 1000, 500},
         0.50,
         std::nullopt},
    }),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace vmsilo::balloond::sim
