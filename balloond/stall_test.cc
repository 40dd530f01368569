#include "balloond/stall.h"

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using Verdict = StallWatch::Verdict;
using ::testing::ElementsAre;

absl::Time At(double seconds) {
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

constexpr int64_t kMemory = 4096 * kMiB;

TEST(StallWatchTest, AGuestThatFollowsIsNotDisturbed) {
  StallWatch watch;
  watch.OnInflate(0, 2000 * kMiB, 0, At(0));
  for (int second = 1; second <= 20; ++second) {
    EXPECT_EQ(watch.OnBalloon(second * 100 * kMiB, At(second)), Verdict::kNone);
  }
  EXPECT_FALSE(watch.IsBlocked(1000 * kMiB, kMemory, At(20)));
  EXPECT_EQ(watch.stalls(), 0);
}

TEST(StallWatchTest, AGuestThatCrawlsHasStalled) {
  StallWatch watch;
  watch.OnInflate(0, 2000 * kMiB, 0, At(0));
  EXPECT_EQ(watch.OnBalloon(4 * kMiB, At(4)), Verdict::kNone);
  EXPECT_EQ(watch.OnBalloon(5 * kMiB, At(5)), Verdict::kStalled);
  EXPECT_TRUE(watch.IsBlocked(1000 * kMiB, kMemory, At(5)));
}

TEST(StallWatchTest, ASmallRequestIsNotStuckBecauseItIsSmall) {
  StallWatch watch;
  watch.OnInflate(0, 20 * kMiB, 0, At(0));
  EXPECT_EQ(watch.OnBalloon(11 * kMiB, At(5)), Verdict::kNone);
  EXPECT_EQ(watch.OnBalloon(20 * kMiB, At(10)), Verdict::kNone);
  EXPECT_EQ(watch.stalls(), 0);
}

TEST(StallWatchTest, ChangesOfTheTargetDoNotHideThatNothingMoves) {
  StallWatch watch;
  std::vector<int> stalled;
  for (int second = 0; second < 12; ++second) {
    watch.OnInflate(0, (1000 + second) * kMiB, 0, At(second));
    if (watch.OnBalloon(0, At(second + 0.5)) == Verdict::kStalled) {
      stalled.push_back(second);
      watch.OnOther();
    }
  }
  EXPECT_THAT(stalled, ElementsAre(5, 11));
}

TEST(StallWatchTest, TakingMemoryBackIsARefusal) {
  StallWatch watch;
  watch.OnInflate(500 * kMiB, 1000 * kMiB, 500 * kMiB, At(0));
  EXPECT_EQ(watch.OnBalloon(700 * kMiB, At(0.5)), Verdict::kNone);
  EXPECT_EQ(watch.OnBalloon(1000 * kMiB, At(1)), Verdict::kNone);
  // It ran out of memory long after it had done what was asked.
  EXPECT_EQ(watch.OnBalloon(900 * kMiB, At(60)), Verdict::kRefused);
  EXPECT_TRUE(watch.IsBlocked(1000 * kMiB, kMemory, At(61)));
}

TEST(StallWatchTest, WhatWasOnItsWayBackIsNoRefusal) {
  StallWatch watch;
  watch.OnInflate(500 * kMiB, 1000 * kMiB, 100 * kMiB, At(0));
  EXPECT_EQ(watch.OnBalloon(400 * kMiB, At(0.3)), Verdict::kNone);
  EXPECT_EQ(watch.OnBalloon(380 * kMiB, At(0.6)), Verdict::kNone);
  EXPECT_EQ(watch.OnBalloon(600 * kMiB, At(0.9)), Verdict::kNone);
  // It has turned, and turns again.
  EXPECT_EQ(watch.OnBalloon(370 * kMiB, At(0.95)), Verdict::kRefused);
}

TEST(StallWatchTest, WhoWasAtRestHasRefusedAtOnce) {
  StallWatch watch;
  watch.OnInflate(500 * kMiB, 1000 * kMiB, 500 * kMiB, At(0));
  EXPECT_EQ(watch.OnBalloon(400 * kMiB, At(0.3)), Verdict::kRefused);
}

TEST(StallWatchTest, WhoNeverTurnsHasRefused) {
  StallWatch watch;
  watch.OnInflate(500 * kMiB, 1000 * kMiB, 100 * kMiB, At(0));
  EXPECT_EQ(watch.OnBalloon(400 * kMiB, At(0.5)), Verdict::kNone);
  EXPECT_EQ(watch.OnBalloon(300 * kMiB, At(1)), Verdict::kRefused);
}

TEST(StallWatchTest, GivingBackIsNoRefusal) {
  StallWatch watch;
  watch.OnInflate(0, 1000 * kMiB, 0, At(0));
  EXPECT_EQ(watch.OnBalloon(1000 * kMiB, At(1)), Verdict::kNone);
  watch.OnOther();  // less was asked of it
  EXPECT_EQ(watch.OnBalloon(500 * kMiB, At(2)), Verdict::kNone);
}

TEST(StallWatchTest, EachBlockLastsTwiceAsLongUpToALimitAndExpires) {
  StallWatch watch;
  double now = 0;
  for (const double block : {10, 20, 40, 80, 160, 160}) {
    watch.OnInflate(0, 1000 * kMiB, 0, At(now));
    ASSERT_EQ(watch.OnBalloon(0, At(now + 5)), Verdict::kStalled);
    now += 5;
    EXPECT_TRUE(watch.IsBlocked(1000 * kMiB, kMemory, At(now + block - 0.1)));
    EXPECT_FALSE(watch.IsBlocked(1000 * kMiB, kMemory, At(now + block)));
    now += block;
  }
}

TEST(StallWatchTest, AGuestThatIsShortStaysBlockedForAWhile) {
  StallWatch watch;
  watch.OnInflate(0, 1000 * kMiB, 0, At(0));
  ASSERT_EQ(watch.OnBalloon(0, At(5)), Verdict::kStalled);
  EXPECT_TRUE(watch.IsBlocked(255 * kMiB, kMemory, At(100)));
  EXPECT_FALSE(watch.IsBlocked(256 * kMiB, kMemory, At(100)));
  EXPECT_FALSE(watch.IsBlocked(0, kMemory, At(200)));
}

TEST(StallWatchTest, ASmallGuestNeedsLessToBeAskedAgain) {
  StallWatch watch;
  watch.OnInflate(0, 100 * kMiB, 0, At(0));
  ASSERT_EQ(watch.OnBalloon(0, At(5)), Verdict::kStalled);
  EXPECT_TRUE(watch.IsBlocked(39 * kMiB, 320 * kMiB, At(100)));
  EXPECT_FALSE(watch.IsBlocked(40 * kMiB, 320 * kMiB, At(100)));
}

TEST(StallWatchTest, AnOldStallIsForgotten) {
  StallWatch watch;
  for (const double start : {0.0, 20.0}) {
    watch.OnInflate(0, 1000 * kMiB, 0, At(start));
    ASSERT_EQ(watch.OnBalloon(0, At(start + 5)), Verdict::kStalled);
  }
  watch.OnInflate(0, 1000 * kMiB, 0, At(1000));
  ASSERT_EQ(watch.OnBalloon(0, At(1005)), Verdict::kStalled);
  EXPECT_FALSE(watch.IsBlocked(1000 * kMiB, kMemory, At(1015)));
}

TEST(StallWatchTest, TheTargetIsParkedBelowTheBalloon) {
  EXPECT_EQ(StallWatch::ParkedTarget(1000 * kMiB), 872 * kMiB);
  EXPECT_EQ(StallWatch::ParkedTarget(100 * kMiB), 0);
}

}  // namespace
}  // namespace vmsilo::balloond
