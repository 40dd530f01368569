#include "balloond/sim/rivals/chromeos.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kHostCritical = 852 * kMiB;
constexpr int64_t kTotal = 4096 * kMiB;

// MiB.
struct Vector {
  const char* name;
  int64_t free;
  int64_t caches;
  int64_t balloon;
  int64_t host_available;
  int64_t change;
  int64_t bias = 0;
};

GuestSample SampleOf(const Vector& vector) {
  return {.balloon = vector.balloon * kMiB,
          .free = vector.free * kMiB,
          .caches = vector.caches * kMiB,
          .total = kTotal};
}

class BalanceAvailableTest : public TestWithParam<Vector> {};

TEST_P(BalanceAvailableTest, MovesHalfOfTheDifference) {
  const Vector& vector = GetParam();
  BalanceAvailable balance(400 * kMiB, vector.bias * kMiB);
  EXPECT_EQ(balance.Change(SampleOf(vector), vector.host_available * kMiB,
                           kHostCritical),
            vector.change * kMiB);
}

INSTANTIATE_TEST_SUITE_P(
    Published, BalanceAvailableTest,
    ValuesIn(std::vector<Vector>{
        {"NothingLeftToDeflate", 2500, 500, 0, 4096, 0},
        {"HostPoor", 2500, 500, 0, 1000, 1226},
        {"WithinDeadBand", 2600, 500, 1000, 3560, 0},
        {"HostBelowCritical", 1500, 300, 1000, 600, 826},
        {"GuestBelowCriticalLimitedByBalloon", 150, 100, 1500, 4000, -1500},
        {"BothBelowCriticalTheLowerBoundWins", 120, 80, 1000, 1000, -158},
        {"BiasHalfFilledWithinDeadBand", 1000, 300, 1536, 1752, 0, 48},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(BalanceAvailableLearningTest, CriticalFallsToWhatAGuestLivesWith) {
  BalanceAvailable balance(400 * kMiB, 0);
  (void)balance.Change(SampleOf({"", 120, 80, 1000, 0, 0}), 1000 * kMiB,
                       kHostCritical);
  EXPECT_EQ(balance.Change(SampleOf({"", 110, 70, 1000, 0, 0}), 1000 * kMiB,
                           kHostCritical),
            -84 * kMiB);
}

// The bias of a balloon that is half full, against a host that has more.
TEST(BalanceAvailableBiasTest, GrowsWithTheFill) {
  BalanceAvailable balance(400 * kMiB, 48 * kMiB);
  // G = 876, H = 1276 MiB.
  EXPECT_EQ(balance.Change(SampleOf({"", 1000, 300, 1536, 0, 0}),
                           (1276 + 852) * kMiB, kHostCritical),
            -200 * kMiB);
}

class ChromeOsTest : public ::testing::Test {
 protected:
  ChromeOsTest() {
    policy_.AddVm(7, {.name = "work", .memory = kTotal}, now_);
    policy_.AddVm(3, {.name = "bank", .memory = kTotal}, now_);
  }

  std::vector<Resize> Round(const std::map<VmId, GuestSample>& samples) {
    now_ = policy_.NextRound() == absl::InfinitePast() ? now_
                                                       : policy_.NextRound();
    for (const VmId vm : policy_.Begin(host_, now_)) {
      const auto sample = samples.find(vm);
      if (sample != samples.end()) {
        policy_.AddSample(vm, sample->second, now_);
      } else {
        policy_.AddSample(vm, absl::UnavailableError("no answer"), now_);
      }
    }
    return policy_.Decide(host_, now_);
  }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  // 5.2 % of it are 852 MiB.
  HostReading host_ = {.total = 852 * kMiB / 52 * 1000,
                       .available = 1000 * kMiB};
  ChromeOs policy_{ChromeOs::Constants{}};
};

TEST_F(ChromeOsTest, AsksEveryVmOnceASecondByName) {
  EXPECT_EQ(policy_.NextRound(), now_);
  EXPECT_THAT(policy_.Begin(host_, now_), ElementsAre(3, 7));
  (void)policy_.Decide(host_, now_);
  EXPECT_EQ(policy_.NextRound(), now_ + absl::Seconds(1));
}

TEST_F(ChromeOsTest, JudgesEachVmByTheSameHost) {
  const GuestSample rich = SampleOf({"", 2500, 500, 0, 0, 0});
  const std::vector<Resize> resizes = Round({{3, rich}, {7, rich}});
  ASSERT_EQ(resizes.size(), 2);
  EXPECT_EQ(resizes[0].balloon, resizes[1].balloon);
  EXPECT_NEAR(static_cast<double>(resizes[0].balloon) / kMiB, 1226, 1);
}

TEST_F(ChromeOsTest, LeavesOutWhoDoesNotAnswer) {
  const GuestSample rich = SampleOf({"", 2500, 500, 0, 0, 0});
  const std::vector<Resize> resizes = Round({{7, rich}});
  ASSERT_EQ(resizes.size(), 1);
  EXPECT_EQ(resizes[0].vm, 7);
}

TEST_F(ChromeOsTest, AsksASilentGuestMoreAndMoreRarely) {
  const GuestSample calm = SampleOf({"", 2500, 500, 0, 0, 0});
  std::vector<size_t> asked;
  for (int round = 0; round < 40; ++round) {
    now_ = policy_.NextRound();
    const std::vector<VmId> vms = policy_.Begin(host_, now_);
    asked.push_back(vms.size());
    for (const VmId vm : vms) {
      if (vm == 3) {
        policy_.AddSample(vm, absl::UnavailableError("no answer"), now_);
      } else {
        policy_.AddSample(vm, calm, now_);
      }
    }
    (void)policy_.Decide(host_, now_);
  }
  // Three times in a row, then after 1, 2, 4, 8 and 16 seconds.
  std::vector<size_t> expected(40, 1);
  for (const int round : {0, 1, 2, 3, 5, 9, 17, 33}) expected[round] = 2;
  EXPECT_EQ(asked, expected);
}

TEST_F(ChromeOsTest, ForgetsWhoHasGone) {
  policy_.RemoveVm(3, now_);
  policy_.RemoveVm(7, now_);
  EXPECT_THAT(policy_.Begin(host_, now_), IsEmpty());
  EXPECT_FALSE(policy_.View(3).has_value());
}

std::vector<int64_t> PrototypeChanges(std::vector<Vector> guests,
                                      int64_t host_available) {
  const absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  // Of 16 GiB, as much as to make 852 MiB of them.
  ChromeOs policy(
      {.critical_host_percent = 5.2001953125, .is_prototype = true});
  const HostReading host = {.total = 16384 * kMiB, .available = host_available};
  for (VmId vm = 0; vm < guests.size(); ++vm) {
    policy.AddVm(vm, {.name = guests[vm].name, .memory = kTotal}, now);
  }
  for (const VmId vm : policy.Begin(host, now)) {
    GuestSample sample = SampleOf(guests[vm]);
    sample.available = guests[vm].free * kMiB + guests[vm].caches * kMiB / 2;
    policy.AddSample(vm, sample, now);
  }
  std::vector<int64_t> changes(guests.size());
  for (const Resize& resize : policy.Decide(host, now)) {
    changes[resize.vm] =
        (resize.balloon - guests[resize.vm].balloon * kMiB) / kMiB;
  }
  return changes;
}

// Worked out in the analysis of it: the order matters.
TEST(PrototypeTest, EachVmIsJudgedByWhatTheOthersLeave) {
  const Vector rich = {"", 3400, 0, 0, 0, 0};
  const Vector middle = {"", 1400, 0, 1000, 0, 0};
  const Vector poor = {"", 600, 0, 2000, 0, 0};
  EXPECT_THAT(PrototypeChanges({rich, middle, poor}, 852 * kMiB),
              ElementsAre(1500, -250, -525));
  EXPECT_THAT(PrototypeChanges({poor, middle, rich}, 852 * kMiB),
              ElementsAre(100, 450, 1225));
}

TEST(PrototypeTest, TakesNothingThatIsNotAvailable) {
  // Free and caches would have it give half of 1400 MiB.
  EXPECT_THAT(PrototypeChanges({{"", 300, 1500, 0, 0, 0}}, 852 * kMiB),
              ElementsAre(650));
}

TEST(PrototypeTest, PressureBringsTheNextRoundForward) {
  const absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  ChromeOs policy({.is_prototype = true});
  policy.AddVm(1, {.name = "a", .memory = kTotal}, now);
  HostReading host = {.total = 1 << 30, .pressure = 10};
  (void)policy.Begin(host, now);
  (void)policy.Decide(host, now);
  EXPECT_EQ(policy.NextRound(), now + absl::Milliseconds(1125));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
