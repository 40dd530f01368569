#include "balloond/level.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "balloond/settings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using level_internal::FindLevel;
using level_internal::Party;
using ::testing::ElementsAreArray;

struct GuestCase {
  int64_t usable = 0;  // MiB, all of these
  int64_t balloon = 0;
  double yield = 1;
  int64_t memory = 4096;
  // Of `free`; where it is larger than `usable`, not all of it is available.
  int64_t free = -1;
};

struct Case {
  const char* name;
  int64_t available;
  std::vector<GuestCase> guests;
  std::vector<int64_t> want;  // change of each balloon, MiB
};

Snapshot SnapshotOf(const Case& test) {
  Snapshot snapshot;
  snapshot.settings.critical_guest_available = 400 * kMiB;
  snapshot.settings.guest_available_bias = 0;
  // The host's critical amount is 852 MiB.
  snapshot.settings.critical_host_percent = 5.2;
  snapshot.host_total = 852 * kMiB * 1000 / 52;
  snapshot.host_available = test.available * kMiB;
  snapshot.host_free = snapshot.host_available;
  for (const GuestCase& guest_case : test.guests) {
    Snapshot::Guest guest;
    guest.memory = guest_case.memory * kMiB;
    guest.balloon = guest_case.balloon * kMiB;
    guest.target = guest.balloon;
    guest.has_sample = true;
    guest.is_fresh = true;
    guest.can_inflate = true;
    guest.usable = guest_case.usable * kMiB;
    guest.free =
        (guest_case.free < 0 ? guest_case.usable : guest_case.free) * kMiB;
    guest.resident = guest.memory - guest.balloon -
                     static_cast<int64_t>((1 - guest_case.yield) *
                                          static_cast<double>(guest.free));
    snapshot.guests.push_back(guest);
  }
  return snapshot;
}

class LevelTest : public ::testing::TestWithParam<Case> {};

TEST_P(LevelTest, Table) {
  const Snapshot snapshot = SnapshotOf(GetParam());
  const std::vector<Wish> wishes = LevelPolicy().Decide(snapshot);
  std::vector<int64_t> changes;
  for (size_t i = 0; i < wishes.size(); ++i) {
    // Whole mebibytes, where the last bytes are lost in the percentages.
    const int64_t change = wishes[i].balloon - snapshot.guests[i].target;
    changes.push_back((change + (change > 0 ? 1024 : -1024)) / kMiB);
  }
  EXPECT_THAT(changes, ElementsAreArray(GetParam().want));
}

std::vector<GuestCase> Times(size_t count, GuestCase guest) {
  return std::vector<GuestCase>(count, guest);
}

INSTANTIATE_TEST_SUITE_P(
    All, LevelTest,
    ::testing::ValuesIn(std::vector<Case>{
        {"HostIsPoor", 1000, {{3000, 0}}, {1226}},
        {"NearEnough", 3560, {{3100, 1000}}, {0}},
        {"TheNeediestIsPaidFirst",
         1852,
         {{3400, 0}, {1400, 1000}, {600, 2000}},
         {1700, 0, -1000}},
        {"NothingToPayOutYet",
         852,
         {{3400, 0}, {1400, 1000}, {600, 2000}},
         {1950, 0, 0}},
        {"AnEmergencyMayHaveHalfOfTheHostsReserve",
         600,
         {{1700, 1000}, {250, 2000}},
         {1000, -174}},
        {"NobodyCanGive", 700, {{250, 2000}, {300, 2000}}, {0, 0}},
        {"TheFloorIsOnWhatIsAvailable",
         600,
         {{.usable = 500, .balloon = 1000, .free = 1800}},
         {100}},
        {"ASmallGuestHasASmallerFloor",
         300,
         {{.usable = 300, .balloon = 0, .memory = 512}},
         {172}},
        {"AllBackAndNeverBelowNothing",
         8852,
         {{500, 100}, {500, 3000}},
         {-100, -3000}},
        {"EightGuestsAreNotEachAlone", 852, Times(8, {2400, 0}),
         std::vector<int64_t>(8, 222)},
        {"HalfOfItIsResident", 1000, {{3000, 0, 0.5}}, {1634}},
        {"NothingOfItIsResident", 1000, {{3000, 0, 0}}, {2452}},
        {"EightGuestsHalfResident", 852, Times(8, {2400, 0, 0.5}),
         std::vector<int64_t>(8, 400)},
        {"MixedYields",
         1852,
         {{3400, 0, 0.5}, {1400, 1000}, {600, 2000}},
         {1942, -57, -857}},
        {"PoorHostRichGuest", 600, {{1800, 1000}}, {826}},
        {"GuestBelowItsFloorGetsItAll", 4000, {{250, 1500}}, {-1500}},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(FindLevelTest, TheSumIsTheLevel) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const size_t count = 1 + random() % 32;
    std::vector<Party> parties(count);
    for (Party& party : parties) {
      party.headroom =
          static_cast<int64_t>(random() % 8192) * kMiB - 2048 * kMiB;
      party.low = -static_cast<int64_t>(random() % 4096) * kMiB;
      party.high = static_cast<int64_t>(random() % 4096) * kMiB;
      party.yield = static_cast<double>(random() % 101) / 100;
    }
    const int64_t host =
        static_cast<int64_t>(random() % 16384) * kMiB - 2048 * kMiB;
    const int64_t level = FindLevel(host, parties);
    double sum = static_cast<double>(host);
    for (const Party& party : parties) {
      const auto change = static_cast<double>(
          std::clamp(party.headroom - level, party.low, party.high));
      sum += change > 0 ? party.yield * change : change;
    }
    ASSERT_NEAR(sum, static_cast<double>(level),
                static_cast<double>(count) + 1);
    std::reverse(parties.begin(), parties.end());
    // Up to the rounding of the sum.
    ASSERT_NEAR(static_cast<double>(FindLevel(host, parties)),
                static_cast<double>(level), 1);
  }
}

// Guests whose memory is all resident (or a share of it): the gap between them
// and the host must go, and nothing may swing, for any number of them.
TEST(LevelClosedLoopTest, TheGapClosesInThreeRounds) {
  for (const double yield : {0.0, 0.5, 1.0}) {
    for (int64_t count = 1; count <= 32; ++count) {
      Case test = {
          "", 1000, Times(static_cast<size_t>(count), {3000, 500, yield}), {}};
      Snapshot snapshot = SnapshotOf(test);
      for (int round = 0; round < 4; ++round) {
        const std::vector<Wish> wishes = LevelPolicy().Decide(snapshot);
        bool is_still = true;
        for (size_t i = 0; i < wishes.size(); ++i) {
          Snapshot::Guest& guest = snapshot.guests[i];
          const int64_t change = wishes[i].balloon - guest.target;
          if (change == 0) continue;
          is_still = false;
          const double taken = change > 0 ? yield : 1;
          const auto moved =
              static_cast<int64_t>(taken * static_cast<double>(change));
          guest.balloon += change;
          guest.target = guest.balloon;
          guest.usable -= change;
          guest.free -= change;
          *guest.resident -= moved;
          snapshot.host_available += moved;
          snapshot.host_free += moved;
        }
        if (round == 3) {
          EXPECT_TRUE(is_still) << count << " guests, yield " << yield;
        }
      }
    }
  }
}

TEST(LevelPolicyTest, NeverPaysOutMoreThanThereIs) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 2000; ++round) {
    Case test = {"", static_cast<int64_t>(random() % 4096), {}, {}};
    const size_t count = 1 + random() % 32;
    for (size_t i = 0; i < count; ++i) {
      const auto balloon = static_cast<int64_t>(random() % 3000);
      test.guests.push_back(
          {static_cast<int64_t>(random() %
                                static_cast<uint64_t>(4096 - balloon)),
           balloon, static_cast<double>(random() % 11) / 10});
    }
    const Snapshot snapshot = SnapshotOf(test);
    const std::vector<Wish> wishes = LevelPolicy().Decide(snapshot);
    int64_t paid = 0;
    for (size_t i = 0; i < count; ++i) {
      const Snapshot::Guest& guest = snapshot.guests[i];
      const int64_t change = wishes[i].balloon - guest.target;
      ASSERT_GE(wishes[i].balloon, 0);
      if (change < 0) paid -= change;
      if (change > 0) {
        ASSERT_LE(change, guest.usable - 400 * kMiB);
      }
    }
    ASSERT_LE(paid, std::max<int64_t>(
                        0, snapshot.host_available - 852 * kMiB / 2 + kMiB));
  }
}

TEST(LevelPolicyTest, DoesNotActTwiceOnOneSample) {
  Snapshot snapshot = SnapshotOf({"", 1000, {{3000, 0}}, {}});
  snapshot.guests[0].is_fresh = false;
  EXPECT_EQ(LevelPolicy().Decide(snapshot)[0].balloon, 0);
}

TEST(LevelPolicyTest, OthersGiveForAGuestThatIsBlocked) {
  Snapshot snapshot = SnapshotOf({"", 852, Times(2, {2400, 0}), {}});
  snapshot.guests[0].can_inflate = false;
  const std::vector<Wish> wishes = LevelPolicy().Decide(snapshot);
  EXPECT_EQ(wishes[0].balloon, 0);
  EXPECT_EQ(wishes[1].balloon, 1000 * kMiB);
}

TEST(LevelPolicyTest, LeavesAGuestWhatItIsGuaranteed) {
  Snapshot snapshot = SnapshotOf({"", 852, {{3000, 0}}, {}});
  snapshot.guests[0].guaranteed = 4000 * kMiB;
  EXPECT_EQ(LevelPolicy().Decide(snapshot)[0].balloon, 96 * kMiB);
}

TEST(LevelPolicyTest, MemoryUnderPressureIsNotAvailable) {
  Snapshot snapshot = SnapshotOf({"", 3560, {{3100, 1000}}, {}});
  snapshot.host_free = 852 * kMiB;  // the rest would have to be reclaimed
  snapshot.pressure = 60;
  // As if the host had nothing beyond what it must keep.
  EXPECT_EQ(LevelPolicy().Decide(snapshot)[0].balloon, 2350 * kMiB);
}

TEST(PressureIntervalTest, FallsInAStraightLine) {
  Settings settings;
  settings.min_poll_interval = absl::Milliseconds(500);
  settings.psi_ceiling = 20;
  EXPECT_EQ(PressureInterval(settings, 0), absl::Seconds(2));
  EXPECT_EQ(PressureInterval(settings, 5), absl::Milliseconds(1625));
  EXPECT_EQ(PressureInterval(settings, 10), absl::Milliseconds(1250));
  EXPECT_EQ(PressureInterval(settings, 15), absl::Milliseconds(875));
  EXPECT_EQ(PressureInterval(settings, 20), absl::Milliseconds(500));
  EXPECT_EQ(PressureInterval(settings, 99), absl::Milliseconds(500));
  settings.psi_ceiling = 0;
  EXPECT_EQ(PressureInterval(settings, 99), absl::Seconds(2));
}

}  // namespace
}  // namespace vmsilo::balloond
