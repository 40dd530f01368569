#include "balloond/sim/host.h"

#include <cmath>

#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kStep = 0.1;
constexpr double kMemory = 10000;

void Steps(int count, double used, Host* host) {
  for (int i = 0; i < count; ++i) host->Step(used, 0, kStep);
}

TEST(HostTest, PageCacheIsAvailableButNotFree) {
  Host host({.memory = kMemory});
  Steps(1, 5000, &host);
  EXPECT_DOUBLE_EQ(host.free(), 4500);
  // 3 % of page cache can go, 1.5 % are kept free.
  EXPECT_DOUBLE_EQ(host.available(), 4500 + 300 - 150);
  EXPECT_EQ(host.stall(), 0);
}

TEST(HostTest, ReclaimsPageCacheAtItsRate) {
  Host host({.memory = kMemory});
  Steps(1, 9600, &host);
  // Was 100 below nothing; 150 come in a tenth of a second.
  EXPECT_DOUBLE_EQ(host.free(), 50);
  EXPECT_NEAR(host.stall(), 0.1, 1e-9);
  Steps(1, 9600, &host);
  EXPECT_DOUBLE_EQ(host.free(), 150);
  EXPECT_EQ(host.stall(), 0);
}

TEST(HostTest, EndsSomethingOnlyWhenNothingIsLeft) {
  Host host({.memory = kMemory});
  Steps(20, 10020, &host);
  EXPECT_FALSE(host.is_out_of_memory());
  EXPECT_GT(host.stall(), 0.6);
  Steps(1, 10040, &host);
  EXPECT_TRUE(host.is_out_of_memory());
}

TEST(HostTest, SwapPutsTheEndOffAndHurts) {
  Host host({.memory = kMemory, .swap = 1000});
  Steps(20, 10040, &host);
  EXPECT_FALSE(host.is_out_of_memory());
  EXPECT_GT(host.free(), 0);
  Steps(100, 11100, &host);
  EXPECT_TRUE(host.is_out_of_memory());
}

// As /proc/pressure/memory has it: 18 % of each two seconds.
TEST(HostTest, AverageFollowsTheTotalEveryTwoSeconds) {
  Host host({.memory = kMemory});
  Steps(20, 9000, &host);
  EXPECT_EQ(host.pressure_avg10(), 0);
  Steps(19, 10000, &host);
  EXPECT_EQ(host.pressure_avg10(), 0);
  EXPECT_GT(host.pressure_total(), 0.5);
  const double before = host.pressure_total();
  Steps(1, 10000, &host);
  const double total = host.pressure_total();
  EXPECT_GT(total, before);
  EXPECT_NEAR(host.pressure_avg10(), 100 * total / 2 * (1 - std::exp(-0.2)),
              1e-9);
}

TEST(PressureTriggerTest, FiresOnceInAWindow) {
  PressureTrigger trigger(0.1, 0.5);
  EXPECT_FALSE(trigger.Check(10.0, 0));
  EXPECT_FALSE(trigger.Check(10.1, 0.05));
  EXPECT_TRUE(trigger.Check(10.2, 0.11));
  EXPECT_FALSE(trigger.Check(10.3, 0.3));
  EXPECT_FALSE(trigger.Check(10.6, 0.5));
  EXPECT_TRUE(trigger.Check(10.7, 0.6));
}

TEST(PressureTriggerTest, SaysNothingOfAnEnd) {
  PressureTrigger trigger(0.1, 0.5);
  EXPECT_TRUE(trigger.Check(10.0, 0.2));
  for (double now = 10.1; now < 20; now += 0.1) {
    EXPECT_FALSE(trigger.Check(now, 0.2));
  }
}

TEST(PressureTriggerTest, CountsOnlyWhatIsWithinTheWindow) {
  PressureTrigger trigger(0.1, 0.5);
  // 8 % of the time, for ever: 40 ms in each window.
  double total = 0;
  for (double now = 10; now < 30; now += 0.1) {
    total += 0.008;
    EXPECT_FALSE(trigger.Check(now, total)) << now;
  }
}

TEST(PressureTriggerTest, NeverFiresWithoutAThreshold) {
  PressureTrigger trigger(0, 0.5);
  EXPECT_FALSE(trigger.Check(10, 100));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
