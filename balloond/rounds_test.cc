#include "balloond/rounds.h"

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
#include "balloond/balancer.h"
#include "balloond/controller.h"
#include "balloond/host.h"
#include "balloond/settings.h"
#include "balloond/testing/fake_controller.h"
#include "balloond/testing/fake_guest.h"
#include "common/bytes.h"
#include "common/testing/fake_clock.h"
#include "common/testing/fake_event_loop.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"

namespace vmsilo::balloond {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FakeHost final : public HostSource {
 public:
  absl::StatusOr<HostReading> Read(absl::Time) override {
    ++reads;
    if (!error.ok()) return error;
    return reading;
  }

  HostReading reading = {.total = int64_t{8} << 30,
                         .available = int64_t{4} << 30,
                         .free = int64_t{4} << 30};
  absl::Status error;
  int reads = 0;
};

class FakeObserver final : public Rounds::Observer {
 public:
  void OnHostError(const absl::Status& status) override {
    host_errors.push_back(status);
  }
  void OnSampleError(VmId vm, const absl::Status& status) override {
    sample_errors[vm].push_back(status);
  }
  void OnResize(const Resize& resize) override { resizes.push_back(resize); }
  void OnResizeError(VmId vm, const absl::Status& status) override {
    resize_errors[vm].push_back(status);
  }
  void OnRound(const HostReading&) override { ++rounds; }

  std::vector<absl::Status> host_errors;
  std::map<VmId, std::vector<absl::Status>> sample_errors;
  std::vector<Resize> resizes;
  std::map<VmId, std::vector<absl::Status>> resize_errors;
  int rounds = 0;
};

class RoundsTest : public testing::Test {
 protected:
  void Start(Rounds::Options options = {}) {
    rounds_.emplace(&loop_, &clock_, &host_, &controller_, &observer_, options);
    ASSERT_THAT(rounds_->Start(), IsOk());
  }

  FakeGuest& Add(VmId id) {
    auto guest = std::make_unique<FakeGuest>(&loop_, GiB(4));
    FakeGuest& result = *guest;
    guests_[id] = std::move(guest);
    rounds_->AddVm(id, {.name = absl::StrCat("vm", id)}, result.MakeClient());
    return result;
  }

  // The balloons that a VM has told the controller, -1 for an error.
  std::vector<int64_t> Told(VmId id) {
    std::vector<int64_t> told;
    for (const absl::StatusOr<GuestSample>& sample :
         controller_.vm(id).samples) {
      told.push_back(sample.ok() ? sample->balloon : -1);
    }
    return told;
  }

  FakeClock clock_;
  FakeEventLoop loop_{&clock_};
  FakeHost host_;
  FakeController controller_;
  FakeObserver observer_;
  std::map<VmId, std::unique_ptr<FakeGuest>> guests_;
  std::optional<Rounds> rounds_;
};

TEST_F(RoundsTest, AsksEachVmOnceAndDecidesWhenAllHaveAnswered) {
  Start();
  Add(1);
  Add(2).set_latency(absl::Milliseconds(300));
  loop_.Advance(absl::Milliseconds(299));
  EXPECT_EQ(controller_.rounds(), 0);
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(controller_.rounds(), 1);
  EXPECT_EQ(observer_.rounds, 1);
  EXPECT_THAT(Told(1), ElementsAre(0));
  EXPECT_THAT(Told(2), ElementsAre(0));
  EXPECT_EQ(rounds_->queries(), 2);
  // Before the guests and after them.
  EXPECT_EQ(host_.reads, 2);
}

TEST_F(RoundsTest, BeginsTheNextOneAtItsTimeAfterTheEndOfTheLast) {
  Start();
  controller_.set_interval(absl::Seconds(3));
  Add(1).set_latency(absl::Milliseconds(200));
  loop_.Advance(absl::Milliseconds(3199));
  EXPECT_EQ(controller_.begun().size(), 1);
  loop_.Advance(absl::Milliseconds(1));
  ASSERT_EQ(controller_.begun().size(), 2);
  EXPECT_EQ(controller_.begun()[1] - controller_.begun()[0],
            absl::Milliseconds(3200));
}

TEST_F(RoundsTest, WakesUpForRoundsOnly) {
  Start();
  controller_.set_interval(absl::Seconds(10));
  loop_.Advance(absl::Seconds(100));
  EXPECT_LE(loop_.wake_ups(), 11);
  EXPECT_GE(loop_.wake_ups(), 9);
}

TEST_F(RoundsTest, PassesTheSampleOnAsItIs) {
  Start();
  FakeGuest& guest = Add(1);
  guest.ChangeBalloon(MiB(100));
  guest.set_statistics({.free = MiB(1),
                        .total = MiB(2),
                        .available = MiB(3),
                        .caches = MiB(4),
                        .oom_kills = 5});
  loop_.Advance(absl::Seconds(1));
  ASSERT_EQ(controller_.vm(1).samples.size(), 1);
  const absl::StatusOr<GuestSample>& sample = controller_.vm(1).samples[0];
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->balloon, 100 << 20);
  EXPECT_EQ(sample->memory, int64_t{4} << 30);
  EXPECT_EQ(sample->free, 1 << 20);
  EXPECT_EQ(sample->total, 2 << 20);
  EXPECT_EQ(sample->available, 3 << 20);
  EXPECT_EQ(sample->caches, 4 << 20);
  EXPECT_EQ(sample->oom_kills, 5);
}

TEST_F(RoundsTest, TheClientSaysHowOftenItCanBeAsked) {
  Start();
  Add(1);
  EXPECT_EQ(controller_.vm(1).traits.min_sample_interval,
            absl::Milliseconds(10));
  rounds_->UpdateVm(1, {.name = "vm1", .guaranteed = 5});
  EXPECT_EQ(controller_.vm(1).traits.min_sample_interval,
            absl::Milliseconds(10));
  EXPECT_EQ(controller_.vm(1).traits.guaranteed, 5);
  rounds_->UpdateVm(2, {.name = "vm2"});
}

TEST_F(RoundsTest, TakesNumbersBeyondAllBounds) {
  Start();
  Add(1).set_statistics({.free = Bytes(std::numeric_limits<uint64_t>::max()),
                         .oom_kills = std::numeric_limits<uint64_t>::max()});
  loop_.Advance(absl::Seconds(1));
  const absl::StatusOr<GuestSample>& sample = controller_.vm(1).samples.at(0);
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->free, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(sample->oom_kills, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(sample->available, std::nullopt);
}

TEST_F(RoundsTest, AVmThatHangsHoldsTheOthersUpOnce) {
  Start();
  Add(1);
  Add(2).set_latency(absl::InfiniteDuration());
  loop_.Advance(absl::Milliseconds(999));
  EXPECT_EQ(controller_.rounds(), 0);
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(controller_.rounds(), 1);
  EXPECT_THAT(Told(1), ElementsAre(0));
  EXPECT_THAT(Told(2), ElementsAre(-1));
  // From now on a round takes what the first one takes.
  loop_.Advance(absl::Milliseconds(2001));
  EXPECT_EQ(controller_.rounds(), 2);
  loop_.Advance(absl::Milliseconds(2001));
  EXPECT_EQ(controller_.rounds(), 3);
  EXPECT_THAT(Told(2), ElementsAre(-1, -1, -1));
  // One question at a time, for as long as its patience lasts.
  EXPECT_EQ(guests_[2]->queries(), 2);
}

TEST_F(RoundsTest, WhatASlowVmSaysCountsInTheNextRound) {
  Start();
  Add(1);
  FakeGuest& slow = Add(2);
  slow.set_latency(absl::Milliseconds(1500));
  slow.ChangeBalloon(Bytes(7));
  loop_.Advance(absl::Seconds(10));
  // Late for the first two; each of the others has the answer to the question
  // of the one before.
  ASSERT_EQ(controller_.rounds(), 5);
  EXPECT_THAT(Told(2), ElementsAre(-1, -1, 7, 7, 7));
}

TEST_F(RoundsTest, AVmThatIsQuickAgainIsWaitedForAgain) {
  Start();
  Add(1);
  FakeGuest& guest = Add(2);
  guest.set_latency(absl::InfiniteDuration());
  loop_.Advance(absl::Milliseconds(1000));  // first round
  guest.set_latency(absl::Milliseconds(500));
  guest.ChangeBalloon(Bytes(7));
  loop_.Advance(absl::Milliseconds(2500));  // second, and its late answer
  guest.ChangeBalloon(Bytes(8));
  loop_.Advance(absl::Milliseconds(2500));
  EXPECT_EQ(controller_.rounds(), 3);
  EXPECT_THAT(Told(2), ElementsAre(-1, -1, 8));
}

TEST_F(RoundsTest, DoesNotUseWhatIsTooOldByNow) {
  Start();
  Add(1);
  FakeGuest& slow = Add(2);
  slow.set_latency(absl::Milliseconds(4900));
  controller_.set_interval(absl::Seconds(30));
  loop_.Advance(absl::Seconds(33));  // unanswered, asked again at 31 s
  loop_.Advance(absl::Seconds(31));
  ASSERT_EQ(controller_.rounds(), 3);
  EXPECT_THAT(Told(2), ElementsAre(-1, -1, -1));
}

TEST_F(RoundsTest, AnErrorIsThatVmsAlone) {
  Start();
  Add(1);
  Add(2).set_error(absl::UnavailableError("no driver"));
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(controller_.rounds(), 1);
  EXPECT_THAT(Told(1), ElementsAre(0));
  EXPECT_THAT(controller_.vm(2).samples,
              ElementsAre(StatusIs(absl::StatusCode::kUnavailable)));
  EXPECT_THAT(observer_.sample_errors[2],
              ElementsAre(StatusIs(absl::StatusCode::kUnavailable)));
  EXPECT_EQ(observer_.sample_errors.count(1), 0);
}

TEST_F(RoundsTest, SendsWhatIsDecidedInItsOrder) {
  Start();
  Add(1);
  Add(2);
  const std::vector<Resize> decision = {
      {.vm = 2, .balloon = 300 << 20, .reason = Reason::kShared},
      {.vm = 1, .balloon = 0, .reason = Reason::kGuestShort}};
  controller_.set_decision(decision);
  loop_.Advance(absl::Milliseconds(2));
  EXPECT_EQ(observer_.resizes, decision);
  EXPECT_THAT(guests_[2]->asked(), ElementsAre(MiB(300)));
  EXPECT_THAT(guests_[1]->asked(), ElementsAre(Bytes(0)));
  EXPECT_THAT(controller_.vm(1).resized, ElementsAre(true));
  EXPECT_THAT(controller_.vm(2).resized, ElementsAre(true));
  EXPECT_EQ(rounds_->resizes(), 2);
}

TEST_F(RoundsTest, WithoutWaitingSizesComeBeforeQuestions) {
  controller_.set_waits(false);
  Start();
  FakeGuest& guest = Add(1);
  controller_.set_decision({{.vm = 1, .balloon = 1 << 20}});
  loop_.Advance(absl::Milliseconds(2));
  EXPECT_THAT(guest.asked(), ElementsAre(MiB(1)));
  EXPECT_EQ(guest.queries(), 1);
  // crosvm would have refused it.
  EXPECT_EQ(guest.asked_while_owing(), 0);
  EXPECT_THAT(Told(1), ElementsAre(1 << 20));
  EXPECT_EQ(host_.reads, 1);
}

TEST_F(RoundsTest, WithoutWaitingAVmThatHangsHoldsNobodyUp) {
  controller_.set_waits(false);
  controller_.set_interval(absl::Milliseconds(200));
  Start();
  FakeGuest& hung = Add(1);
  hung.set_latency(absl::InfiniteDuration());
  FakeGuest& other = Add(2);
  loop_.Advance(absl::Milliseconds(1900));
  EXPECT_EQ(controller_.rounds(), 10);
  EXPECT_EQ(other.queries(), 10);
  EXPECT_THAT(Told(2), SizeIs(10));
  // Never two questions at once.
  EXPECT_LE(hung.queries(), 2);
}

TEST_F(RoundsTest, TellsOfARequestThatIsRefused) {
  Start();
  Add(1).set_resize_error(absl::FailedPreconditionError("no"));
  controller_.set_decision({{.vm = 1, .balloon = 1 << 20}});
  loop_.Advance(absl::Milliseconds(2));
  EXPECT_THAT(controller_.vm(1).resized, ElementsAre(false));
  EXPECT_THAT(observer_.resize_errors[1],
              ElementsAre(StatusIs(absl::StatusCode::kFailedPrecondition)));
}

TEST_F(RoundsTest, ARequestThatHangsHoldsUpNoRound) {
  Start();
  FakeGuest& guest = Add(1);
  controller_.set_decision({{.vm = 1, .balloon = 1 << 20}});
  controller_.set_interval(absl::Milliseconds(200));
  loop_.Advance(absl::Milliseconds(1));
  guest.set_latency(absl::InfiniteDuration());
  Add(2);
  controller_.set_decision({{.vm = 1, .balloon = 2 << 20}});
  loop_.Advance(absl::Milliseconds(1500));
  EXPECT_GE(controller_.rounds(), 6);
  EXPECT_THAT(controller_.vm(1).resized, ElementsAre(true, false));
}

TEST_F(RoundsTest, ADryRunSaysWhatItWouldDoAndSendsNothing) {
  Start({.is_dry_run = true});
  Add(1);
  controller_.set_decision({{.vm = 1, .balloon = 1 << 20}});
  loop_.Advance(absl::Milliseconds(2));
  EXPECT_EQ(observer_.resizes.size(), 1);
  EXPECT_THAT(guests_[1]->asked(), IsEmpty());
  EXPECT_THAT(controller_.vm(1).resized, ElementsAre(false));
  EXPECT_EQ(rounds_->resizes(), 0);
}

TEST_F(RoundsTest, HurriesWhenItIsToldTo) {
  Start();
  Add(1);
  controller_.set_interval(absl::Seconds(10));
  loop_.Advance(absl::Seconds(1));
  ASSERT_EQ(controller_.rounds(), 1);
  rounds_->Hurry();
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(controller_.rounds(), 2);
}

TEST_F(RoundsTest, IsNeverBusierThanTwentyTimesASecond) {
  Start();
  Add(1);
  controller_.set_interval(-absl::Hours(1));
  loop_.Advance(absl::Seconds(1));
  EXPECT_LE(controller_.rounds(), 21);
  EXPECT_GE(controller_.rounds(), 15);
}

TEST_F(RoundsTest, HurriesWhenAGuestHelpsItself) {
  Start();
  FakeGuest& guest = Add(1);
  guest.ChangeBalloon(MiB(500));
  controller_.set_interval(absl::Seconds(10));
  controller_.set_decision({{.vm = 1, .balloon = 500 << 20}});
  loop_.Advance(absl::Milliseconds(100));
  ASSERT_EQ(controller_.rounds(), 1);
  guest.ChangeBalloon(MiB(100));
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(controller_.rounds(), 2);
}

TEST_F(RoundsTest, DoesNotHurryWhenAGuestDoesWhatItWasAsked) {
  Start();
  FakeGuest& guest = Add(1);
  guest.ChangeBalloon(MiB(500));
  controller_.set_interval(absl::Seconds(10));
  controller_.set_decision({{.vm = 1, .balloon = 0}});
  loop_.Advance(absl::Milliseconds(1));
  ASSERT_EQ(controller_.rounds(), 1);
  for (const uint64_t size : {400, 200, 0}) {
    guest.ChangeBalloon(MiB(size));
    loop_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(controller_.rounds(), 1);
}

TEST_F(RoundsTest, VmsComeAndGoInTheMiddleOfARound) {
  Start();
  Add(1).set_latency(absl::Milliseconds(500));
  Add(2);
  loop_.Advance(absl::Milliseconds(100));
  ASSERT_EQ(controller_.begun().size(), 1);
  rounds_->RemoveVm(1);
  EXPECT_FALSE(guests_[1]->has_client());
  Add(3);
  // Nobody else is waited for.
  loop_.Advance(absl::ZeroDuration());
  EXPECT_EQ(controller_.rounds(), 1);
  EXPECT_THAT(Told(2), ElementsAre(0));
  EXPECT_THAT(Told(3), IsEmpty());
  loop_.Advance(absl::Seconds(3));
  EXPECT_THAT(Told(3), ElementsAre(0));
}

TEST_F(RoundsTest, ADecisionAboutAVmThatHasGoneIsNone) {
  Start();
  Add(1);
  controller_.set_decision({{.vm = 9, .balloon = 1}, {.vm = 1, .balloon = 2}});
  loop_.Advance(absl::Milliseconds(2));
  EXPECT_THAT(guests_[1]->asked(), ElementsAre(Bytes(2)));
}

TEST_F(RoundsTest, WithoutALookAtTheHostThereIsNoRound) {
  Start();
  Add(1);
  host_.error = absl::InvalidArgumentError("nonsense");
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(controller_.begun().size(), 0);
  EXPECT_EQ(observer_.host_errors.size(), 3);
  host_.error = absl::OkStatus();
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(controller_.rounds(), 1);
}

// With the controller that ships: one that was killed leaves balloons as they
// are, and the next starts from them.
TEST_F(RoundsTest, ASuccessorStartsFromTheBalloonsThatItFinds) {
  const auto guest_of = [this](VmId id, uint64_t balloon) {
    auto guest = std::make_unique<FakeGuest>(&loop_, GiB(4));
    guest->ChangeBalloon(MiB(balloon));
    guest->set_statistics({.free = MiB(900 - balloon / 4),
                           .total = GiB(4),
                           .available = MiB(1000),
                           .caches = MiB(200)});
    guests_[id] = std::move(guest);
  };
  guest_of(1, 1500);
  guest_of(2, 1500);
  host_.reading.available = int64_t{1200} << 20;
  Balancer balancer(Settings(), MakePolicy(PolicyKind::kLevel));
  Rounds rounds(&loop_, &clock_, &host_, &balancer, &observer_, {});
  ASSERT_THAT(rounds.Start(), IsOk());
  for (const VmId id : {1, 2}) {
    rounds.AddVm(id,
                 {.name = absl::StrCat("vm", id), .memory = int64_t{4} << 30},
                 guests_[id]->MakeClient());
  }
  loop_.Advance(absl::Seconds(2));
  for (const VmId id : {1, 2}) {
    const std::optional<VmView> view = balancer.View(id);
    ASSERT_TRUE(view.has_value());
    EXPECT_TRUE(view->is_managed);
    ASSERT_TRUE(view->sample.has_value());
    // The first request moves it from where it was, by a part of what guest
    // and host have, not from zero or to a remembered target.
    ASSERT_FALSE(guests_[id]->asked().empty());
    for (const Bytes asked : guests_[id]->asked()) {
      EXPECT_GT(asked, MiB(1000));
      EXPECT_LT(asked, MiB(2000));
    }
  }
}

}  // namespace
}  // namespace vmsilo::balloond
