#include "balloond/committed.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using Guest = Snapshot::Guest;

// A guest of 4 GiB that uses 500 MiB, with 100 MiB of page cache, whose memory
// was all touched.
Guest Quiet() {
  Guest guest;
  guest.memory = 4096 * kMiB;
  guest.has_sample = true;
  guest.can_inflate = true;
  guest.caches = 100 * kMiB;
  guest.free = 3496 * kMiB;
  guest.usable = guest.free + guest.caches;
  guest.resident_then = guest.resident = guest.memory;
  return guest;
}

// The same with a balloon of `size`, which took free memory.
Guest WithBalloon(int64_t size) {
  Guest guest = Quiet();
  guest.balloon = guest.target = size;
  guest.free -= size;
  guest.usable -= size;
  *guest.resident_then -= size;
  *guest.resident -= size;
  return guest;
}

Snapshot Host(int64_t available, std::vector<Guest> guests) {
  Snapshot snapshot;
  snapshot.settings.critical_host_percent = 2;
  snapshot.host_total = 16384 * kMiB;
  snapshot.host_available = snapshot.host_free = available;
  snapshot.host_growth_rate = 200 * kMiB;
  snapshot.guests = std::move(guests);
  return snapshot;
}

int64_t Keep(const Snapshot& snapshot) { return snapshot.host_total / 50; }

TEST(CommittedPolicyTest, NeverLendsWhatDoesNotExist) {
  std::mt19937_64 random(3);
  const auto amount = [&random](int64_t below) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(below + 1));
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<Guest> guests(1 + random() % 32);
    for (Guest& guest : guests) {
      guest = Quiet();
      guest.balloon = guest.target = amount(3000 * kMiB);
      const int64_t visible = guest.memory - guest.balloon;
      guest.free = amount(visible);
      guest.caches = amount(visible - guest.free);
      guest.usable = amount(guest.free + guest.caches);
      const int64_t used = visible - guest.free - guest.caches;
      guest.resident_then = used + guest.caches;
      guest.resident = std::min(visible, *guest.resident_then + amount(kMiB));
      guest.settled_cache = amount(guest.caches);
    }
    const Snapshot snapshot = Host(amount(16384 * kMiB), guests);
    int64_t budget = snapshot.host_available - Keep(snapshot);
    int64_t lent = 0;
    int64_t untouched = 0;
    const std::vector<Wish> wishes = CommittedPolicy().Decide(snapshot);
    for (size_t i = 0; i < guests.size(); ++i) {
      budget += *guests[i].resident;
      ASSERT_GE(wishes[i].balloon, 0);
      ASSERT_LE(wishes[i].balloon, guests[i].memory);
      lent += guests[i].memory - wishes[i].balloon;
      // Changes too small to be worth it.
      untouched += wishes[i].balloon == guests[i].target ? 123 * kMiB : 0;
    }
    if (budget > 0) {
      ASSERT_LE(lent, budget + untouched) << "round " << round;
    }
  }
}

TEST(CommittedPolicyTest, LeavesARichWorldAlone) {
  const Snapshot snapshot = Host(16000 * kMiB, {Quiet(), Quiet()});
  for (const Wish& wish : CommittedPolicy().Decide(snapshot)) {
    EXPECT_EQ(wish.balloon, 0);
  }
  // A sample now and then, and nothing else.
  EXPECT_THAT(CommittedPolicy().DueSamples(snapshot), Each(false));
  EXPECT_EQ(CommittedPolicy().UntilNextRound(snapshot), absl::Seconds(10));
}

TEST(CommittedPolicyTest, EqualGuestsHaveEqualShares) {
  const Snapshot snapshot = Host(1000 * kMiB, {Quiet(), Quiet()});
  const std::vector<Wish> wishes = CommittedPolicy().Decide(snapshot);
  EXPECT_EQ(wishes[0].balloon, wishes[1].balloon);
  EXPECT_GT(wishes[0].balloon, 0);
  EXPECT_EQ(wishes[0].reason, Reason::kShared);
}

TEST(CommittedPolicyTest, AGuestThatGrowsIsGivenBeforeItIsAsked) {
  Guest guest = WithBalloon(3276 * kMiB);  // 820 MiB, 220 of them free
  *guest.resident -= 200 * kMiB;
  *guest.resident_then = *guest.resident - 200 * kMiB;
  const Snapshot snapshot = Host(4000 * kMiB, {guest});
  const std::vector<Wish> wishes = CommittedPolicy().Decide(snapshot);
  EXPECT_LT(wishes[0].balloon, guest.target);
  EXPECT_EQ(wishes[0].reason, Reason::kGuestShort);
}

TEST(CommittedPolicyTest, GrowthFasterThanTheCachesIsNoCache) {
  Guest guest = WithBalloon(3276 * kMiB);
  *guest.resident -= 200 * kMiB;
  *guest.resident_then = *guest.resident - 200 * kMiB;
  guest.age = absl::Seconds(1);
  guest.lasting_share = 0;
  // So far it was all page cache, read as fast as it grows now.
  guest.cache_rate = 200 * kMiB;
  const int64_t kept =
      CommittedPolicy().Decide(Host(4000 * kMiB, {guest}))[0].balloon;
  guest.cache_rate = 10 * kMiB;
  const int64_t given =
      CommittedPolicy().Decide(Host(4000 * kMiB, {guest}))[0].balloon;
  EXPECT_LT(given, kept - 50 * kMiB);
}

TEST(CommittedPolicyTest, WhoUsesMostIsShortFirst) {
  Guest leak = WithBalloon(0);
  leak.free = 50 * kMiB;
  leak.usable = 150 * kMiB;
  Guest quiet = WithBalloon(3276 * kMiB);
  // Far less than the two use.
  Snapshot snapshot = Host(300 * kMiB, {leak, quiet});
  *snapshot.guests[0].resident -= 2000 * kMiB;
  *snapshot.guests[0].resident_then -= 2000 * kMiB;
  const std::vector<Wish> wishes = CommittedPolicy().Decide(snapshot);
  EXPECT_GT(wishes[0].balloon, 1000 * kMiB);
  EXPECT_EQ(wishes[0].reason, Reason::kHostShort);
  // The other keeps what it uses.
  EXPECT_LE(wishes[1].balloon, quiet.memory - 600 * kMiB);
}

TEST(CommittedPolicyTest, CacheThatAGuestHasSettledAtIsLeftToIt) {
  Guest settled = Quiet();
  settled.caches = 600 * kMiB;
  settled.free -= 500 * kMiB;
  Guest passing = settled;
  settled.settled_cache = 600 * kMiB;
  const std::vector<Wish> wishes =
      CommittedPolicy().Decide(Host(500 * kMiB, {settled, passing}));
  EXPECT_EQ(wishes[1].balloon - wishes[0].balloon, 450 * kMiB);
}

TEST(CommittedPolicyTest, MemoryThatIsNotAvailableIsInUse) {
  Guest guest = Quiet();
  guest.caches = 1100 * kMiB;
  guest.free -= 1000 * kMiB;
  Guest pinned = guest;
  pinned.usable -= 1000 * kMiB;  // a tmpfs, say
  const std::vector<Wish> wishes =
      CommittedPolicy().Decide(Host(500 * kMiB, {guest, pinned}));
  EXPECT_GT(wishes[0].balloon, wishes[1].balloon + 700 * kMiB);
}

TEST(CommittedPolicyTest, WhatIsGuaranteedIsNotTaken) {
  Guest guest = Quiet();
  guest.guaranteed = 3000 * kMiB;
  Snapshot snapshot = Host(400 * kMiB, {guest, Quiet(), Quiet()});
  EXPECT_LE(CommittedPolicy().Decide(snapshot)[0].balloon, 1096 * kMiB);
}

TEST(CommittedPolicyTest, NothingIsAskedOfAGuestThatIsBlockedOrSilent) {
  Guest blocked = Quiet();
  blocked.can_inflate = false;
  Guest silent = Quiet();
  silent.has_sample = false;
  silent.target = 70 * kMiB;
  const Snapshot snapshot = Host(400 * kMiB, {blocked, silent, Quiet()});
  const std::vector<Wish> wishes = CommittedPolicy().Decide(snapshot);
  EXPECT_EQ(wishes[0].balloon, 0);
  EXPECT_EQ(wishes[1].balloon, 70 * kMiB);
  EXPECT_GT(wishes[2].balloon, 0);
}

TEST(CommittedPolicyTest, OnlyWhoIsShortAndBlindIsAskedOften) {
  // Both have 60 MiB beyond what they use; only the growth of the first would
  // show from outside.
  Guest shows = WithBalloon(3396 * kMiB);
  *shows.resident -= 90 * kMiB;
  *shows.resident_then -= 90 * kMiB;
  Guest blind = WithBalloon(3396 * kMiB);
  shows.age = blind.age = absl::Milliseconds(280);
  Snapshot snapshot = Host(6000 * kMiB, {shows, blind});
  EXPECT_THAT(CommittedPolicy().DueSamples(snapshot), ElementsAre(false, true));
  // Growth that shows is asked about.
  *snapshot.guests[0].resident += 40 * kMiB;
  EXPECT_THAT(CommittedPolicy().DueSamples(snapshot), ElementsAre(true, true));
}

TEST(CommittedPolicyTest, AtRestSamplesMayBeOld) {
  Guest guest = Quiet();
  guest.age = absl::Seconds(3);
  // It has never touched the rest.
  guest.resident = guest.resident_then = 600 * kMiB;
  int differences = 0;
  for (int available = 0; available < 4000; available += 5) {
    Snapshot snapshot = Host(available * kMiB, {guest, guest});
    const bool at_rest = CommittedPolicy().DueSamples(snapshot)[1];
    snapshot.guests[0].surge = 8 * kMiB;
    const bool restless = CommittedPolicy().DueSamples(snapshot)[1];
    EXPECT_LE(at_rest, restless) << available;
    differences += at_rest != restless;
  }
  EXPECT_GT(differences, 0);
}

TEST(CommittedPolicyTest, LooksAsOftenAsItMayWhenAGuestIsShort) {
  Snapshot snapshot = Host(6000 * kMiB, {WithBalloon(3450 * kMiB)});
  EXPECT_EQ(CommittedPolicy().UntilNextRound(snapshot),
            snapshot.settings.min_poll_interval);
}

}  // namespace
}  // namespace vmsilo::balloond
