#include "balloond/sim/run.h"

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/result.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kStepUsec = 100'000;

// Notes what it is told, and does one thing.
struct Script {
  std::vector<VmId> added;
  std::vector<VmId> removed;
  std::vector<GuestSample> samples;
  std::vector<absl::Time> sample_times;
  int errors = 0;
  std::vector<absl::Time> rounds;
  std::vector<absl::Time> decisions;
  std::vector<bool> resized;
  int hurries = 0;
  int made = 0;
  absl::Duration interval = absl::Seconds(1);
  int64_t balloon = 0;
};

class Scripted : public Controller {
 public:
  explicit Scripted(Script* script) : script_(*script) { ++script_.made; }

  void AddVm(VmId vm, const VmTraits& /*traits*/, absl::Time /*now*/) override {
    script_.added.push_back(vm);
    vms_.push_back(vm);
  }
  void UpdateVm(VmId, const VmTraits&, absl::Time) override {}
  void RemoveVm(VmId vm, absl::Time /*now*/) override {
    script_.removed.push_back(vm);
    std::erase(vms_, vm);
  }
  std::vector<VmId> Begin(const HostReading& /*host*/,
                          absl::Time now) override {
    EXPECT_FALSE(is_in_round_);
    is_in_round_ = true;
    script_.rounds.push_back(now);
    asked_ = static_cast<int>(vms_.size());
    return vms_;
  }
  void AddSample(VmId vm, const absl::StatusOr<GuestSample>& sample,
                 absl::Time now) override {
    EXPECT_TRUE(is_in_round_);
    EXPECT_THAT(vms_, ::testing::Contains(vm));
    if (!sample.ok()) {
      ++script_.errors;
      return;
    }
    script_.samples.push_back(*sample);
    script_.sample_times.push_back(now);
  }
  std::vector<Resize> Decide(const HostReading& /*host*/,
                             absl::Time now) override {
    EXPECT_TRUE(is_in_round_);
    is_in_round_ = false;
    script_.decisions.push_back(now);
    next_ = script_.rounds.back() + script_.interval;
    std::vector<Resize> resizes;
    for (const VmId vm : vms_) {
      resizes.push_back({.vm = vm, .balloon = script_.balloon});
    }
    return resizes;
  }
  void OnResized(VmId /*vm*/, bool is_ok, absl::Time /*now*/) override {
    script_.resized.push_back(is_ok);
  }
  void Hurry(absl::Time /*now*/) override { ++script_.hurries; }
  absl::Time NextRound() const override { return next_; }
  std::optional<VmView> View(VmId /*vm*/) const override {
    return std::nullopt;
  }

 private:
  Script& script_;
  std::vector<VmId> vms_;
  bool is_in_round_ = false;
  int asked_ = 0;
  absl::Time next_ = absl::InfinitePast();
};

Policy PolicyOf(Script* script) {
  return {"scripted", "", [script](const PolicyContext& /*context*/) {
            return std::make_unique<Scripted>(script);
          }};
}

Trace OneVm(double duration) {
  return {.name = "one",
          .duration = duration,
          .vms = {{.name = "a", .uses = {{.time = 0, .anon = 500}}}},
          .host = {{0, 1000}}};
}

absl::Time At(double seconds) { return RunStart() + absl::Seconds(seconds); }

TEST(RunTest, RoundsComeWhenTheControllerWantsThemAndAnswersAfterTheLag) {
  Script script;
  (void)Simulate(Timeline(OneVm(2.5), kStepUsec), PolicyOf(&script),
                 {.lag = absl::Milliseconds(300)});
  EXPECT_THAT(script.rounds, ElementsAre(At(0), At(1), At(2)));
  EXPECT_THAT(script.decisions, ElementsAre(At(0.3), At(1.3), At(2.3)));
  ASSERT_THAT(script.samples, SizeIs(3));
  // As it was when it was asked.
  EXPECT_EQ(script.samples[1].taken, At(1));
  EXPECT_EQ(script.sample_times[1], At(1.3));
}

TEST(RunTest, AnswersThatTakeNoTimeMakeARoundAMoment) {
  Script script;
  (void)Simulate(Timeline(OneVm(1), kStepUsec), PolicyOf(&script),
                 {.lag = absl::ZeroDuration()});
  EXPECT_EQ(script.rounds, script.decisions);
  EXPECT_THAT(script.samples, SizeIs(1));
}

TEST(RunTest, MessagesAreCounted) {
  Script script;
  script.balloon = 1000 << 20;
  const RunResult result =
      Simulate(Timeline(OneVm(60), kStepUsec), PolicyOf(&script), {});
  EXPECT_EQ(result.samples, 60);
  EXPECT_EQ(result.sets, 60);
  EXPECT_EQ(result.rounds, 60);
  EXPECT_NEAR(result.messages_per_minute(), 120, 0.01);
  EXPECT_EQ(result.host_reads, 120);
  EXPECT_NEAR(result.travel_gib_per_minute(), 1000.0 / 1024, 0.01);
}

TEST(RunTest, VmsComeAndGoUnderNewNumbers) {
  Trace trace = OneVm(10);
  trace.vms.push_back({.name = "b",
                       .start = 2,
                       .end = 5.05,
                       .uses = {{.time = 0, .anon = 500}}});
  Script script;
  (void)Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {});
  EXPECT_THAT(script.added, ElementsAre(1, 2));
  EXPECT_THAT(script.removed, ElementsAre(2));
}

TEST(RunTest, WithoutADriverThereAreErrorsAtOnce) {
  Trace trace = OneVm(2.5);
  trace.vms[0].has_driver = false;
  Script script;
  script.balloon = 100 << 20;
  const RunResult result =
      Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {});
  EXPECT_EQ(script.errors, 3);
  EXPECT_THAT(script.samples, IsEmpty());
  EXPECT_THAT(script.resized, ElementsAre(false, false, false));
  EXPECT_EQ(result.travel, 0);
}

TEST(RunTest, ASuspendedGuestIsSilentUntilTheDeadline) {
  Trace trace = OneVm(4);
  trace.vms[0].suspended = {{0.5, 3.5}};
  Script script;
  (void)Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {});
  EXPECT_EQ(script.errors, 2);
  ASSERT_THAT(script.decisions, SizeIs(3));
  EXPECT_EQ(script.decisions[1], At(2.1));
}

TEST(RunTest, RenewedStatisticsAreOld) {
  Script script;
  script.interval = absl::Milliseconds(300);
  (void)Simulate(Timeline(OneVm(3), kStepUsec), PolicyOf(&script),
                 {.lag = absl::ZeroDuration(), .renewal = absl::Seconds(1)});
  ASSERT_THAT(script.samples, SizeIs(10));
  EXPECT_EQ(script.samples[0].taken, At(0));
  EXPECT_EQ(script.samples[3].taken, At(0));  // at 0.9
  EXPECT_EQ(script.samples[4].taken, At(1));  // at 1.2
}

TEST(RunTest, ADaemonThatIsDownIsBuiltAnew) {
  Trace trace = OneVm(10);
  trace.daemon_down = {{2.05, 5}};
  Script script;
  (void)Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {});
  EXPECT_EQ(script.made, 2);
  EXPECT_THAT(script.rounds, ElementsAre(At(0), At(1), At(2), At(5), At(6),
                                         At(7), At(8), At(9)));
}

TEST(RunTest, PressureHurriesTheController) {
  Trace trace = OneVm(20);
  trace.host = {{0, 1000}, {5, 1000}, {7, 3430}};
  Script script;
  const RunResult result =
      Simulate(Timeline(trace, kStepUsec), PolicyOf(&script),
               {.world = {.host = {.memory = 4096}}});
  EXPECT_GT(script.hurries, 10);
  EXPECT_LT(script.hurries, 35);
  EXPECT_GT(result.host_pressure_time, 10);
  EXPECT_FALSE(result.Meets(kTolerant));
}

TEST(RunTest, TheLargestVmDiesWhenTheHostHasNothingLeft) {
  Trace trace = OneVm(20);
  trace.vms.push_back({.name = "b", .uses = {{.time = 0, .anon = 600}}});
  trace.host = {{0, 1000}, {5, 1000}, {7, 2800}, {7.5, 2800}, {8, 1000}};
  Script script;
  const RunResult result =
      Simulate(Timeline(trace, kStepUsec), PolicyOf(&script),
               {.world = {.host = {.memory = 4096}}});
  EXPECT_EQ(result.host_ooms, 1);
  EXPECT_THAT(script.removed, ElementsAre(2));
  EXPECT_THAT(script.added, ElementsAre(1, 2, 3));
  EXPECT_FALSE(result.Meets(kTolerant));
}

TEST(RunTest, GuestsInWantAreUnderPressure) {
  Trace trace = OneVm(100);
  trace.vms[0].uses = {{.time = 0, .anon = 500, .hot = 400},
                       {.time = 50, .anon = 500, .hot = 400},
                       {.time = 50.1, .anon = 1500, .hot = 400}};
  Script script;
  script.balloon = int64_t{2600} << 20;  // leaves 1336
  const RunResult result =
      Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {});
  EXPECT_GE(result.oom_deflations, 1);
  EXPECT_NEAR(result.guest_pressure_time, 50, 1);
  EXPECT_DOUBLE_EQ(result.pressure_time_of[0], result.guest_pressure_time);
  EXPECT_GT(result.unmet, 0);
  EXPECT_FALSE(result.Meets(kStrict));
}

TEST(RunTest, ExemptVmsHarmNobody) {
  Trace trace = OneVm(100);
  trace.vms[0].uses = {{.time = 0, .anon = 500}, {.time = 50, .anon = 5000}};
  trace.vms[0].is_exempt = true;
  Script script;
  const RunResult result =
      Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {});
  EXPECT_TRUE(result.Meets(kStrict));
  EXPECT_GT(result.exempt_deaths, 0);
}

TEST(RunTest, StopsWhereNothingCanBeSaved) {
  Trace trace = OneVm(1000);
  trace.host = {{0, 1000}, {0.1, 4000}};
  Script script;
  const RunResult result =
      Simulate(Timeline(trace, kStepUsec), PolicyOf(&script),
               {.world = {.host = {.memory = 4096}}, .stop_at_harm = &kStrict});
  EXPECT_LT(result.run_time, 1);
  EXPECT_FALSE(result.Meets(kStrict));
}

TEST(RunTest, IsTheSameEveryTime) {
  Script script;
  script.balloon = int64_t{3000} << 20;
  Trace trace = OneVm(50);
  trace.vms[0].uses = {{.time = 0, .anon = 500, .hot = 300, .io = 20},
                       {.time = 30, .anon = 2500, .hot = 300, .io = 20}};
  std::vector<double> runs[2];
  for (std::vector<double>& run : runs) {
    (void)Simulate(Timeline(trace, kStepUsec), PolicyOf(&script), {},
                   [&](const World& world) {
                     run.push_back(world.host().free());
                     run.push_back(world.guest(0).balloon());
                     run.push_back(world.guest(0).cache());
                   });
  }
  EXPECT_THAT(runs[0], SizeIs(1500));
  EXPECT_EQ(runs[0], runs[1]);
}

}  // namespace
}  // namespace vmsilo::balloond::sim
