#include "balloond/sim/rivals/ghaf.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

GhafGuest Guest(int64_t current, int64_t available) {
  return {.minimum = 0,
          .maximum = std::numeric_limits<int64_t>::max(),
          .current = current,
          .available = available};
}

// Both are in ghaf-mem-manager's src/vm.rs.
TEST(GhafPreferredTest, ShrinksToThreeQuarters) {
  EXPECT_EQ(GhafPreferred(Guest(800, 400)), 533);
}
TEST(GhafPreferredTest, LeavesAloneWhatCannotBeTrue) {
  EXPECT_EQ(GhafPreferred(Guest(830, std::numeric_limits<int64_t>::max())),
            830);
}

TEST(GhafPreferredTest, IsContentWithinTheWindow) {
  EXPECT_EQ(GhafPreferred(Guest(1000, 250)), 1000);
  EXPECT_EQ(GhafPreferred(Guest(1000, 150)), 1000);
}

TEST(GhafPreferredTest, GrowsToBelowTheUpperEdge) {
  EXPECT_EQ(GhafPreferred(Guest(1000, 100)), 900 * 100 / 83);
}

TEST(GhafPreferredTest, KeepsTheLimits) {
  GhafGuest guest = Guest(800, 400);
  guest.minimum = 700;
  EXPECT_EQ(GhafPreferred(guest), 700);
  guest = Guest(1000, 0);
  guest.maximum = 1024;
  EXPECT_EQ(GhafPreferred(guest), 1024);
}

TEST(GhafScaleTest, SharesWhatIsAboveTheMinima) {
  EXPECT_EQ(GhafScale(1000, 900, 100), 1);
  EXPECT_EQ(GhafScale(500, 900, 100), 0.5);
  EXPECT_EQ(GhafScale(100, 900, 100), 0);
  EXPECT_EQ(GhafScale(50, 100, 100), 0);
}

}  // namespace
}  // namespace vmsilo::balloond::sim
