#include "balloond/sim/guest.h"

#include "balloond/sim/trace.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kStep = 0.1;
constexpr double kMemory = 4096;
constexpr double kWatermark = 40.96;

void Steps(int count, const Demand& demand, Guest* guest,
           const GuestOptions& options = {}) {
  for (int i = 0; i < count; ++i) guest->Step(demand, kStep, options);
}

Demand Wants(double anon, double hot = 0, double io = 0) {
  return {.anon = anon, .hot = hot, .io = io, .is_on = true};
}

TEST(GuestTest, TouchesOnlyWhatItUses) {
  Guest guest(kMemory);
  EXPECT_EQ(guest.resident(), Guest::kKernel);
  Steps(1, Wants(500), &guest);
  EXPECT_DOUBLE_EQ(guest.resident(), Guest::kKernel + 500);
  EXPECT_DOUBLE_EQ(guest.free(), kMemory - Guest::kKernel - 500);
}

TEST(GuestTest, FreedMemoryStaysWithTheHostsAccountUntilTheBalloonTakesIt) {
  Guest guest(kMemory);
  Steps(1, Wants(2000), &guest);
  Steps(1, Wants(500), &guest);
  EXPECT_DOUBLE_EQ(guest.resident(), Guest::kKernel + 2000);
  guest.set_target(kMemory);
  Steps(100, Wants(500), &guest);
  // The watermark is left, and of it the share that was touched.
  EXPECT_NEAR(guest.free(), kWatermark, 1e-6);
  EXPECT_LT(guest.resident(), Guest::kKernel + 500 + kWatermark + 1e-6);
}

TEST(GuestTest, UntouchedMemoryGivesTheHostNothing) {
  Guest guest(kMemory);
  Steps(1, Wants(500), &guest);
  guest.set_target(1000);
  Steps(50, Wants(500), &guest);
  EXPECT_DOUBLE_EQ(guest.balloon(), 1000);
  EXPECT_DOUBLE_EQ(guest.resident(), Guest::kKernel + 500);
}

TEST(GuestTest, BalloonMovesAtItsRates) {
  Guest guest(kMemory);
  guest.set_target(1000);
  Steps(1, Wants(500), &guest);
  EXPECT_DOUBLE_EQ(guest.balloon(), 60);
  Steps(100, Wants(500), &guest);
  guest.set_target(0);
  Steps(1, Wants(500), &guest);
  EXPECT_DOUBLE_EQ(guest.balloon(), 800);
}

TEST(GuestTest, BalloonTakesPageCacheSlowlyAndProgramsNever) {
  Guest guest(kMemory);
  Steps(100, Wants(1000, 2800), &guest);
  EXPECT_NEAR(guest.cache(), 2800, 1e-6);
  guest.set_target(kMemory);
  Steps(2, Wants(1000, 0), &guest);  // until nothing is free
  const double before = guest.cache();
  Steps(10, Wants(1000, 0), &guest);
  EXPECT_NEAR(before - guest.cache(), 200, 1e-6);
  Steps(1000, Wants(1000, 0), &guest);
  EXPECT_DOUBLE_EQ(guest.anon(), 1000);
  EXPECT_NEAR(guest.cache(), 0, 1e-6);
  EXPECT_LT(guest.balloon(), kMemory - Guest::kKernel - 1000);
}

TEST(GuestTest, FrozenBalloonStays) {
  Guest guest(kMemory);
  guest.Freeze();
  guest.set_target(1000);
  Steps(50, Wants(500), &guest);
  EXPECT_EQ(guest.balloon(), 0);
}

TEST(GuestTest, ProgramsTakePageCache) {
  Guest guest(kMemory);
  Steps(100, Wants(500, 3000), &guest);
  for (int anon = 600; anon <= 3500; anon += 100) {
    Steps(1, Wants(anon, 3000), &guest);
  }
  EXPECT_DOUBLE_EQ(guest.anon(), 3500);
  EXPECT_EQ(guest.unmet(), 0);
  EXPECT_GT(guest.missing_hot(), 0.8);
}

TEST(GuestTest, DeflatesBeforeItKills) {
  Guest guest(kMemory, 500);
  Steps(1, Wants(500), &guest);
  guest.set_target(kMemory);
  Steps(200, Wants(500), &guest);
  const double balloon = guest.balloon();
  Steps(1, Wants(1500), &guest);
  EXPECT_GT(guest.unmet(), 900);
  EXPECT_NEAR(balloon - guest.balloon(), 25.6, 1e-6);
  EXPECT_EQ(guest.oom_deflations(), 1);
  Steps(200, Wants(1500), &guest);
  EXPECT_EQ(guest.kills(), 0);
  EXPECT_EQ(guest.oom_deflations(), 1) << "one spell";
}

TEST(GuestTest, KillsAfterHalfASecondAndComesBackAfterTwenty) {
  Guest guest(kMemory, 500);
  Steps(1, Wants(500), &guest);
  Steps(4, Wants(5000), &guest);
  EXPECT_EQ(guest.kills(), 0);
  Steps(1, Wants(5000), &guest);
  EXPECT_EQ(guest.kills(), 1);
  EXPECT_DOUBLE_EQ(guest.anon(), 500);
  Steps(199, Wants(1000), &guest);
  EXPECT_DOUBLE_EQ(guest.anon(), 500);
  Steps(2, Wants(1000), &guest);
  EXPECT_DOUBLE_EQ(guest.anon(), 1000);
}

TEST(GuestTest, WithoutDeflationOnOomItKillsWithAFullBalloon) {
  const GuestOptions options = {.deflates_on_oom = false};
  Guest guest(kMemory, 500);
  Steps(1, Wants(500), &guest, options);
  guest.set_target(kMemory);
  Steps(200, Wants(500), &guest, options);
  Steps(5, Wants(1500), &guest, options);
  EXPECT_EQ(guest.kills(), 1);
}

TEST(GuestTest, StreamingFillsAllButTheHighWatermark) {
  Guest guest(kMemory);
  Steps(200, Wants(500, 0, 800), &guest);
  EXPECT_NEAR(guest.free(), 1.5 * kWatermark, 1e-6);
  EXPECT_NEAR(guest.resident(), kMemory - 1.5 * kWatermark, 1e-6);
}

TEST(GuestTest, ReportedPagesGoBackToTheHost) {
  const GuestOptions options = {.reports_free_pages = true};
  Guest guest(kMemory);
  Steps(1, Wants(2000), &guest, options);
  Steps(300, Wants(500), &guest, options);
  EXPECT_NEAR(guest.resident(), Guest::kKernel + 500 + 32, 5);
  EXPECT_EQ(guest.balloon(), 0);
}

TEST(GuestTest, AvailableIsLessThanFreeAndCaches) {
  Guest guest(kMemory);
  Steps(100, Wants(500, 1000), &guest);
  EXPECT_NEAR(guest.free() + guest.cache() - guest.available(),
              (1.5 + 1.25) * kWatermark, 1e-6);
}

TEST(GuestTest, BootForgetsMemoryButNotWhatHappened) {
  Guest guest(kMemory, 500);
  Steps(1, Wants(500), &guest);
  Steps(5, Wants(5000), &guest);
  guest.Boot();
  EXPECT_EQ(guest.resident(), Guest::kKernel);
  EXPECT_EQ(guest.up_time(), 0);
  EXPECT_EQ(guest.kills(), 1);
}

}  // namespace
}  // namespace vmsilo::balloond::sim
