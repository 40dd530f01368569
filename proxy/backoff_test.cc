#include "proxy/backoff.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace vmsilo::proxy {
namespace {

TEST(BackoffTest, BeginsShortAndStaysBounded) {
  Backoff backoff;
  EXPECT_EQ(backoff.Next(), Backoff::kFirst);
  EXPECT_EQ(backoff.Next(), 2 * Backoff::kFirst);
  absl::Duration last;
  for (int i = 0; i < 100; ++i) last = backoff.Next();
  EXPECT_EQ(last, Backoff::kMax);
}

TEST(BackoffTest, AMinuteOfWaitingTakesAFewHundredAttempts) {
  Backoff backoff;
  int attempts = 0;
  for (absl::Duration waited; waited < absl::Minutes(1); ++attempts) {
    waited += backoff.Next();
  }
  EXPECT_LT(attempts, 250);
}

}  // namespace
}  // namespace vmsilo::proxy
