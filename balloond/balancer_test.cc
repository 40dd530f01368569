#include "balloond/balancer.h"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/policy.h"
#include "balloond/settings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kMemory = 4096 * kMiB;

// Wants what the test says; asks always.
class ScriptedPolicy final : public Policy {
 public:
  struct Script {
    std::map<VmId, int64_t> balloons;
    Reason reason = Reason::kShared;
    absl::Duration wait = absl::Seconds(1);
    std::vector<Snapshot> seen;
  };

  explicit ScriptedPolicy(Script* script) : script_(script) {}

  bool WaitsForSamples() const override { return true; }
  std::vector<bool> DueSamples(const Snapshot& snapshot) const override {
    return std::vector<bool>(snapshot.guests.size(), true);
  }
  std::vector<Wish> Decide(const Snapshot& snapshot) const override {
    script_->seen.push_back(snapshot);
    std::vector<Wish> wishes;
    for (const Snapshot::Guest& guest : snapshot.guests) {
      const auto it = script_->balloons.find(guest.vm);
      wishes.push_back(
          {.balloon = it == script_->balloons.end() ? guest.target : it->second,
           .reason = script_->reason});
      if (!guest.can_inflate && wishes.back().balloon > guest.target) {
        wishes.back() = {.balloon = guest.target};
      }
    }
    return wishes;
  }
  absl::Duration UntilNextRound(const Snapshot&) const override {
    return script_->wait;
  }

 private:
  Script* script_;
};

class BalancerTest : public ::testing::Test {
 protected:
  BalancerTest()
      : balancer_(Settings(), std::make_unique<ScriptedPolicy>(&script_)) {
    host_.total = 16384 * kMiB;
    host_.available = 8192 * kMiB;
    host_.free = 8192 * kMiB;
  }

  void Add(VmId vm, const std::string& name, int64_t memory = kMemory) {
    balancer_.AddVm(vm, {.name = name, .memory = memory}, now_);
    guests_[vm] = Guest();
  }

  struct Guest {
    int64_t balloon = 0;
    bool follows = true;
    std::optional<absl::StatusOr<GuestSample>> answer;  // instead of the truth
  };

  // One round, `after` the one before. Returns what was asked for.
  std::vector<Resize> Round(absl::Duration after = absl::Seconds(1)) {
    now_ += after;
    asked_ = balancer_.Begin(host_, now_);
    for (const VmId vm : asked_) {
      const Guest& guest = guests_[vm];
      GuestSample sample = {.balloon = guest.balloon,
                            .free = 3000 * kMiB - guest.balloon,
                            .caches = 500 * kMiB,
                            .available = 3400 * kMiB - guest.balloon,
                            .total = 4000 * kMiB,
                            .taken = now_};
      balancer_.AddSample(
          vm, guest.answer.value_or(absl::StatusOr<GuestSample>(sample)), now_);
    }
    std::vector<Resize> resizes = balancer_.Decide(host_, now_);
    for (const Resize& resize : resizes) {
      balancer_.OnResized(resize.vm, /*is_ok=*/true, now_);
      if (guests_[resize.vm].follows) {
        guests_[resize.vm].balloon = resize.balloon;
      }
    }
    return resizes;
  }

  Reason ReasonOf(VmId vm) { return balancer_.View(vm)->reason; }

  ScriptedPolicy::Script script_;
  Balancer balancer_;
  HostReading host_;
  std::map<VmId, Guest> guests_;
  std::vector<VmId> asked_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(BalancerTest, TakesNothingBeforeTheSecondSample) {
  Add(1, "work");
  script_.balloons[1] = 1000 * kMiB;
  EXPECT_THAT(Round(), IsEmpty());
  EXPECT_EQ(ReasonOf(1), Reason::kWaiting);
  EXPECT_THAT(Round(), ElementsAre(Resize{1, 1000 * kMiB, Reason::kShared}));
}

TEST_F(BalancerTest, AsksForNothingTwice) {
  Add(1, "work");
  script_.balloons[1] = 1000 * kMiB;
  Round();
  EXPECT_EQ(Round().size(), 1);
  for (int i = 0; i < 10; ++i) EXPECT_THAT(Round(), IsEmpty());
}

TEST_F(BalancerTest, AHypervisorsOwnMemoryIsNotTheGuests) {
  Add(1, "work");
  host_.resident[1] = 1000 * kMiB;
  Round();
  Round();
  // It could be all the guest's; so much is nobody's.
  EXPECT_EQ(script_.seen.back().guests[0].resident, 968 * kMiB);
  // More than the guest has got is not.
  host_.resident[1] = kMemory + 50 * kMiB;
  Round(absl::Seconds(6));
  EXPECT_EQ(script_.seen.back().guests[0].resident, kMemory);
  // What is known of it stays.
  host_.resident[1] = 1000 * kMiB;
  Round();
  EXPECT_EQ(script_.seen.back().guests[0].resident, 950 * kMiB);
  EXPECT_EQ(script_.seen.back().guests[0].resident_then, 950 * kMiB);
}

TEST_F(BalancerTest, GrowthCountsFromWhenASampleWasTaken) {
  Add(1, "work");
  const auto round = [&](int64_t resident, absl::Duration sample_age) {
    host_.resident[1] = resident;
    guests_[1].answer =
        GuestSample{.free = 3000 * kMiB,
                    .caches = 500 * kMiB,
                    .available = 3400 * kMiB,
                    .total = 4000 * kMiB,
                    .taken = now_ + absl::Seconds(1) - sample_age};
    Round();
    return script_.seen.back().guests[0].resident_then;
  };
  round(1000 * kMiB, absl::ZeroDuration());
  const int64_t first = *round(1000 * kMiB, absl::ZeroDuration());
  EXPECT_EQ(round(1100 * kMiB, absl::ZeroDuration()), first + 100 * kMiB);
  EXPECT_EQ(round(1200 * kMiB, absl::Milliseconds(500)), first + 100 * kMiB);
  EXPECT_EQ(round(1300 * kMiB, absl::Seconds(1)), first + 200 * kMiB);
  // What it was long ago is not remembered.
  for (int i = 0; i < 5; ++i) round(1300 * kMiB, absl::ZeroDuration());
  EXPECT_EQ(round(1400 * kMiB, absl::Seconds(8)), first + 300 * kMiB);
}

TEST_F(BalancerTest, TheSpeedOfAGuestsCachesIsMeasured) {
  Add(1, "work");
  const auto round = [&](int64_t caches) {
    guests_[1].answer = GuestSample{.free = 3000 * kMiB - caches,
                                    .caches = caches,
                                    .available = 3000 * kMiB,
                                    .total = 4000 * kMiB,
                                    .taken = now_ + absl::Seconds(2)};
    Round(absl::Seconds(2));
    return script_.seen.back().guests[0].cache_rate;
  };
  EXPECT_EQ(round(500 * kMiB), 0);
  EXPECT_EQ(round(500 * kMiB), 0);
  EXPECT_EQ(round(900 * kMiB), 200 * kMiB);
}

TEST_F(BalancerTest, ABalloonThatHasMovedSaysNothingOfTheHypervisor) {
  Add(1, "work");
  Round();
  Round(absl::Seconds(10));
  script_.balloons[1] = 1000 * kMiB;
  Round();
  host_.resident[1] = kMemory;
  Round(absl::Seconds(4));
  EXPECT_EQ(script_.seen.back().guests[0].resident, kMemory - 32 * kMiB);
  // At rest it does.
  host_.resident[1] = kMemory - 900 * kMiB;
  Round(absl::Seconds(10));
  EXPECT_EQ(script_.seen.back().guests[0].resident, kMemory - 1000 * kMiB);
}

TEST_F(BalancerTest, WithoutAnAnswerNothingIsFresh) {
  Add(1, "work");
  Round();
  Round();
  EXPECT_TRUE(script_.seen.back().guests[0].is_fresh);
  guests_[1].answer = absl::UnavailableError("no");
  Round();
  EXPECT_TRUE(script_.seen.back().guests[0].has_sample);
  EXPECT_FALSE(script_.seen.back().guests[0].is_fresh);
}

TEST_F(BalancerTest, RoundsDownToAMebibyte) {
  Add(1, "work");
  script_.balloons[1] = 1001 * kMiB - 1;
  Round();
  EXPECT_THAT(Round(), ElementsAre(Resize{1, 1000 * kMiB, Reason::kShared}));
}

TEST_F(BalancerTest, NeverTakesWhatIsGuaranteedOrTheLastOfIt) {
  Add(1, "work");
  balancer_.UpdateVm(
      1, {.name = "work", .memory = kMemory, .guaranteed = 3000 * kMiB}, now_);
  Add(2, "web");
  script_.balloons = {{1, int64_t{1} << 60}, {2, int64_t{1} << 60}};
  Round();
  EXPECT_THAT(Round(), ElementsAre(Resize{2, 4032 * kMiB, Reason::kShared},
                                   Resize{1, 1096 * kMiB, Reason::kShared}));
}

TEST_F(BalancerTest, TakesFirstThenGivesToTheNeediest) {
  for (VmId vm = 1; vm <= 4; ++vm) Add(vm, absl::StrCat("vm", vm));
  script_.balloons = {{1, 1000 * kMiB}, {2, 1000 * kMiB}};
  Round();
  Round();
  script_.balloons = {{1, 500 * kMiB}, {2, 400 * kMiB}, {3, 300 * kMiB}};
  EXPECT_THAT(Round(), ElementsAre(Resize{3, 300 * kMiB, Reason::kShared},
                                   Resize{1, 500 * kMiB, Reason::kShared},
                                   Resize{2, 400 * kMiB, Reason::kShared}));
}

TEST_F(BalancerTest, ExcludedVmsAreNeverAskedNorTouched) {
  balancer_.AddVm(1, {.name = "gpu", .memory = kMemory, .is_excluded = true},
                  now_);
  script_.balloons[1] = 1000 * kMiB;
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(Round(), IsEmpty());
    EXPECT_THAT(asked_, IsEmpty());
  }
  EXPECT_EQ(ReasonOf(1), Reason::kExcluded);
  ASSERT_EQ(script_.seen.back().guests.size(), 1);
  EXPECT_FALSE(script_.seen.back().guests[0].has_sample);
}

TEST_F(BalancerTest, APersonsWishStands) {
  Add(1, "work");
  Round();
  Round();
  balancer_.UpdateVm(
      1, {.name = "work", .memory = kMemory, .fixed_balloon = 2000 * kMiB},
      now_);
  script_.balloons[1] = 100 * kMiB;
  EXPECT_THAT(Round(absl::Seconds(2)),
              ElementsAre(Resize{1, 2000 * kMiB, Reason::kFixed}));
  EXPECT_THAT(Round(absl::Seconds(2)), IsEmpty());
  EXPECT_EQ(ReasonOf(1), Reason::kFixed);
}

TEST_F(BalancerTest, AVmThatSaysNothingIsAskedLessAndLess) {
  Add(1, "work");
  Add(2, "web");
  Round();
  Round();
  guests_[1].answer = absl::DeadlineExceededError("no answer");
  int asked = 0;
  for (int i = 0; i < 120; ++i) {
    Round();
    for (const VmId vm : asked_) asked += vm == 1 ? 1 : 0;
    EXPECT_THAT(asked_, testing::Contains(VmId{2}));
  }
  // Three times in a row, after 1, 2, 4, 8 and 16 s, then every 30 s.
  EXPECT_EQ(asked, 3 + 5 + 2);
  EXPECT_FALSE(balancer_.View(1)->is_managed);
  EXPECT_EQ(ReasonOf(1), Reason::kUnmanaged);

  guests_[1].answer.reset();
  for (int i = 0; i < 31; ++i) Round();
  EXPECT_TRUE(balancer_.View(1)->is_managed);
}

TEST_F(BalancerTest, AVmThatSaysNothingGetsBackWhatItGave) {
  Add(1, "work");
  script_.balloons[1] = 600 * kMiB;
  Round();
  Round();
  guests_[1].answer = absl::DeadlineExceededError("no answer");
  std::vector<int64_t> given;
  for (int i = 0; i < 60; ++i) {
    for (const Resize& resize : Round()) {
      EXPECT_EQ(resize.reason, Reason::kUnmanaged);
      EXPECT_GE(i, 30);
      given.push_back(resize.balloon / kMiB);
    }
  }
  EXPECT_THAT(given, ElementsAre(344, 88, 0));
}

TEST_F(BalancerTest, NothingIsGivenBackWhileTheHostIsShort) {
  Add(1, "work");
  script_.balloons[1] = 600 * kMiB;
  Round();
  Round();
  guests_[1].answer = absl::DeadlineExceededError("no answer");
  host_.available = host_.total / 100;
  for (int i = 0; i < 60; ++i) EXPECT_THAT(Round(), IsEmpty());
}

TEST_F(BalancerTest, WhatCannotBeTrueIsNoSample) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const GuestSample good = {.balloon = 100 * kMiB,
                            .free = 1000 * kMiB,
                            .caches = 100 * kMiB,
                            .available = 1000 * kMiB,
                            .total = 4000 * kMiB};
  std::vector<GuestSample> lies(9, good);
  lies[0].balloon = kMemory + 1;
  lies[1].balloon = -1;
  lies[2].free = kMax;
  lies[3].free = -1;
  lies[4].caches = kMax;
  lies[5].available = kMax;
  lies[6].total = -kMax;
  lies[7].total = 500 * kMiB;  // less than is free
  lies[8].free.reset();
  for (const GuestSample& lie : lies) {
    ScriptedPolicy::Script script;
    Balancer balancer(Settings(), std::make_unique<ScriptedPolicy>(&script));
    balancer.AddVm(1, {.name = "liar", .memory = kMemory}, now_);
    script.balloons[1] = 1000 * kMiB;
    for (int i = 0; i < 20; ++i) {
      now_ += absl::Seconds(1);
      for (const VmId vm : balancer.Begin(host_, now_)) {
        balancer.AddSample(vm, lie, now_);
      }
      EXPECT_THAT(balancer.Decide(host_, now_), IsEmpty());
    }
    EXPECT_FALSE(balancer.View(1)->is_managed);
  }
}

TEST_F(BalancerTest, SumsThatExceedTheMemoryAreCut) {
  Add(1, "work");
  guests_[1].answer = GuestSample{.balloon = 1000 * kMiB,
                                  .free = 3000 * kMiB,
                                  .caches = 3000 * kMiB,
                                  .available = 4100 * kMiB};
  Round();
  Round();
  const Snapshot::Guest& guest = script_.seen.back().guests[0];
  EXPECT_TRUE(guest.has_sample);
  EXPECT_EQ(guest.free + guest.caches, 3096 * kMiB);
  EXPECT_EQ(guest.usable, 3096 * kMiB);
}

TEST_F(BalancerTest, MemoryThatNobodyKnowsIsLearnedButNeverMoreThanTheHosts) {
  Add(1, "work", /*memory=*/0);
  Round();
  Round();
  EXPECT_EQ(balancer_.View(1)->memory, 4000 * kMiB);
  guests_[1].answer = GuestSample{
      .balloon = 0, .free = 0, .total = std::numeric_limits<int64_t>::max()};
  Round();
  EXPECT_EQ(balancer_.View(1)->memory, host_.total);
}

TEST_F(BalancerTest, AGuestThatDoesNotFollowIsParkedAndAskedAgainLater) {
  Add(1, "stuck");
  guests_[1].balloon = 500 * kMiB;
  guests_[1].follows = false;
  script_.balloons[1] = 1500 * kMiB;
  Round();
  std::vector<std::pair<int, int64_t>> asked;
  for (int second = 1; second < 150; ++second) {
    for (const Resize& resize : Round()) {
      asked.emplace_back(second, resize.balloon / kMiB);
    }
  }
  EXPECT_THAT(asked, ElementsAre(std::pair(1, 1500), std::pair(6, 372),
                                 std::pair(16, 1500), std::pair(21, 372),
                                 std::pair(41, 1500), std::pair(46, 372),
                                 std::pair(86, 1500), std::pair(91, 372)));
}

TEST_F(BalancerTest, AfterARestartWhatIsThereCounts) {
  Add(1, "work");
  guests_[1].balloon = 700 * kMiB;  // on its way to a target nobody remembers
  Round();
  EXPECT_THAT(Round(), IsEmpty());
  EXPECT_EQ(script_.seen.back().guests[0].target, 700 * kMiB);
}

TEST_F(BalancerTest, ATargetThatWasNotTakenIsAskedForAgain) {
  Add(1, "work");
  guests_[1].follows = false;
  script_.balloons[1] = 1000 * kMiB;
  Round();
  ASSERT_EQ(Round().size(), 1);
  balancer_.OnResized(1, /*is_ok=*/false, now_);
  EXPECT_EQ(Round().size(), 1);
}

TEST_F(BalancerTest, HurryComesBeforeTheNextRoundButNotTooSoon) {
  Add(1, "work");
  script_.wait = absl::Seconds(2);
  Round();
  Round();
  EXPECT_EQ(balancer_.NextRound(), now_ + absl::Seconds(2));
  balancer_.Hurry(now_ + absl::Milliseconds(1));
  EXPECT_EQ(balancer_.NextRound(), now_ + absl::Milliseconds(100));
  balancer_.Hurry(now_ + absl::Seconds(1));
  EXPECT_EQ(balancer_.NextRound(), now_ + absl::Milliseconds(100));
}

TEST_F(BalancerTest, AVmThatAppearsIsLookedAtSoon) {
  script_.wait = absl::Seconds(10);
  Round();
  EXPECT_EQ(balancer_.NextRound(), now_ + absl::Seconds(10));
  now_ += absl::Seconds(1);
  Add(1, "new");
  EXPECT_EQ(balancer_.NextRound(), now_);
  Round(absl::ZeroDuration());
  EXPECT_EQ(balancer_.NextRound(), now_ + absl::Milliseconds(500));
  // One that never says a word does not keep the daemon awake.
  guests_[1].answer = absl::UnavailableError("no driver");
  for (int i = 0; i < 16; ++i) Round();
  EXPECT_EQ(balancer_.NextRound(), now_ + absl::Seconds(10));
}

TEST_F(BalancerTest, VmsMayGoAtAnyTime) {
  Add(1, "work");
  Round();
  asked_ = balancer_.Begin(host_, now_ += absl::Seconds(1));
  ASSERT_THAT(asked_, ElementsAre(VmId{1}));
  balancer_.RemoveVm(1, now_);
  balancer_.AddSample(1, GuestSample(), now_);
  EXPECT_THAT(balancer_.Decide(host_, now_), IsEmpty());
  balancer_.OnResized(1, /*is_ok=*/false, now_);
  EXPECT_EQ(balancer_.View(1), std::nullopt);
}

TEST_F(BalancerTest, TheOrderIsThatOfTheNames) {
  Add(1, "b");
  Add(2, "a");
  script_.balloons = {{1, kMiB}, {2, kMiB}};
  Round();
  EXPECT_THAT(Round(), ElementsAre(Resize{2, kMiB, Reason::kShared},
                                   Resize{1, kMiB, Reason::kShared}));
}

}  // namespace
}  // namespace vmsilo::balloond
