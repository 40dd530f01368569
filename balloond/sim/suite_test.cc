#include "balloond/sim/suite.h"

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/policies.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/result.h"
#include "balloond/sim/scenarios.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/variations.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

Score ScoreOf(const char* workload, double needed,
              std::optional<double> strict) {
  Score score = {.workload = workload,
                 .bounds = {.needed = needed, .possible = 0.9 * needed},
                 .strict = strict,
                 .tolerant = strict};
  score.busy.run_time = 1;
  return score;
}

TEST(SummariseTest, TakesTheGeometricMeanAndTheWorst) {
  const Summary summary =
      Summarise({ScoreOf("a", 1000, 1000), ScoreOf("b", 1000, 4000)});
  EXPECT_DOUBLE_EQ(summary.geometric_mean, 0.5);
  EXPECT_DOUBLE_EQ(summary.worst, 0.25);
  EXPECT_EQ(summary.worst_workload, "b");
  EXPECT_DOUBLE_EQ(summary.possible_mean, 0.45);
}

TEST(SummariseTest, OneFailureIsAllThatCounts) {
  const Summary summary =
      Summarise({ScoreOf("a", 1000, 1000), ScoreOf("b", 1000, std::nullopt)});
  EXPECT_EQ(summary.geometric_mean, 0);
  EXPECT_EQ(summary.worst, 0);
}

TEST(SummariseTest, ReactionsOfAllWorkloadsCountTogether) {
  Score first = ScoreOf("a", 1000, 1000);
  Score second = first;
  for (int i = 1; i <= 100; ++i) {
    (i % 2 == 0 ? first : second).busy.reactions.push_back(i);
  }
  const Summary summary = Summarise({first, second});
  EXPECT_EQ(summary.reaction_p50, 51);
  EXPECT_EQ(summary.reaction_p99, 100);
  EXPECT_EQ(summary.reaction_max, 100);
}

TEST(SummariseTest, NothingIsNothing) {
  EXPECT_EQ(Summarise({}).geometric_mean, 0);
}

// Sets each balloon to a size, once after its beginning.
class Once : public Controller {
 public:
  explicit Once(int64_t balloon) : balloon_(balloon) {}
  void AddVm(VmId vm, const VmTraits& /*traits*/, absl::Time now) override {
    vms_.push_back(vm);
    next_ = now + absl::Seconds(2);
  }
  void UpdateVm(VmId, const VmTraits&, absl::Time) override {}
  void RemoveVm(VmId, absl::Time) override {}
  std::vector<VmId> Begin(const HostReading&, absl::Time) override {
    next_ = absl::InfiniteFuture();
    return {};
  }
  void AddSample(VmId, const absl::StatusOr<GuestSample>&,
                 absl::Time) override {}
  std::vector<Resize> Decide(const HostReading&, absl::Time) override {
    std::vector<Resize> resizes;
    for (const VmId vm : vms_)
      resizes.push_back({.vm = vm, .balloon = balloon_});
    return resizes;
  }
  void OnResized(VmId, bool, absl::Time) override {}
  void Hurry(absl::Time) override {}
  absl::Time NextRound() const override { return next_; }
  std::optional<VmView> View(VmId) const override { return std::nullopt; }

 private:
  int64_t balloon_;
  std::vector<VmId> vms_;
  absl::Time next_ = absl::InfiniteFuture();
};

Trace Interrupted() {
  return {.name = "interrupted",
          .duration = 60,
          .vms = {{.name = "a", .uses = {{.time = 0, .anon = 500}}}},
          .host = {{0, 1000}},
          .daemon_down = {{1, 20}},
          .fixed_ratio = 2};
}

TEST(MeasureFixedTest, RecoveryIsCountedFromTheDaemonsReturn) {
  const Policy policy = {"once", "", [](const PolicyContext& /*context*/) {
                           return std::make_unique<Once>(int64_t{1200} << 20);
                         }};
  const FixedRun fixed =
      MeasureFixed(Workload(Interrupted(), kStepUsec), policy, {});
  ASSERT_TRUE(fixed.recovery.has_value());
  // Two seconds until it acts, two for the balloon, but for a tenth.
  EXPECT_GT(*fixed.recovery, 3);
  EXPECT_LT(*fixed.recovery, 4.1);
}

TEST(MeasureFixedTest, SomeNeverRecover) {
  int made = 0;
  const Policy policy = {
      "changing", "", [&made](const PolicyContext& /*context*/) {
        // The measured run has two of them, the undisturbed one the third.
        return std::make_unique<Once>((++made == 3 ? int64_t{1200} : 0) << 20);
      }};
  Trace trace = Interrupted();
  trace.daemon_down = {{10, 20}};
  const FixedRun fixed = MeasureFixed(Workload(trace, kStepUsec), policy, {});
  ASSERT_TRUE(fixed.recovery.has_value());
  EXPECT_EQ(*fixed.recovery, kNever);
}

TEST(MeasureFixedTest, WithoutInterruptionThereIsNoRecovery) {
  const absl::StatusOr<Trace> trace = MakeScenario("idle");
  ASSERT_THAT(trace, IsOk());
  const absl::StatusOr<Policy> policy = FindPolicy("none");
  ASSERT_THAT(policy, IsOk());
  const FixedRun fixed = MeasureFixed(Workload(*trace, kStepUsec), *policy, {});
  EXPECT_FALSE(fixed.recovery.has_value());
  EXPECT_DOUBLE_EQ(fixed.memory,
                   1.25 * Workload(*trace, kStepUsec).bounds.needed);
}

}  // namespace
}  // namespace vmsilo::balloond::sim
