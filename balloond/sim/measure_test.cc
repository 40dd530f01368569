#include "balloond/sim/measure.h"

#include <optional>

#include "absl/status/statusor.h"
#include "balloond/sim/bounds.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/policies.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/scenarios.h"
#include "balloond/sim/trace.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr int64_t kStepUsec = 100'000;

Policy PolicyNamed(absl::string_view name) {
  const absl::StatusOr<Policy> policy = FindPolicy(name);
  EXPECT_THAT(policy, IsOk());
  return policy.ok() ? *policy : Policy();
}

Trace Growing(int vms, double anon) {
  Trace trace = {.name = "growing", .duration = 60, .host = {{0, 1000}}};
  for (int i = 0; i < vms; ++i) {
    trace.vms.push_back({.name = "vm" + std::to_string(i),
                         .uses = {{.time = 0}, {.time = 20, .anon = anon}}});
  }
  return trace;
}

// Without balloons a host must have what was ever touched, and half a per
// cent to breathe.
TEST(LeastHostTest, WithoutAPolicyIsWhatWasTouched) {
  const Timeline timeline(Growing(8, 2000), kStepUsec);
  const Bounds bounds = BoundsOf(timeline);
  const std::optional<double> least =
      LeastHost(timeline, PolicyNamed("none"), {}, bounds, kStrict);
  ASSERT_TRUE(least.has_value());
  const double touched = 1000 + 8 * (2000 + 120 + 40);
  EXPECT_GE(*least, touched / (1 - kHostReserveAtLeast));
  EXPECT_LT(*least, touched / (1 - kHostReserveAtLeast) + kHostResolution + 1);
}

TEST(LeastHostTest, IsNothingWhereNoHostIsLargeEnough) {
  const Timeline timeline(Growing(32, 3000), kStepUsec);
  EXPECT_EQ(
      LeastHost(timeline, PolicyNamed("none"), {}, BoundsOf(timeline), kStrict),
      std::nullopt);
}

TEST(LeastHostTest, PassesAndPassesWithALittleMore) {
  const absl::StatusOr<Trace> trace = MakeScenario("spike");
  ASSERT_THAT(trace, IsOk());
  const Timeline timeline(*trace, kStepUsec);
  const Policy policy = PolicyNamed("chromeos");
  const std::optional<double> least =
      LeastHost(timeline, policy, {}, BoundsOf(timeline), kStrict);
  ASSERT_TRUE(least.has_value());
  for (const double factor : {1.0, 1.02, 1.05, 1.10}) {
    RunOptions options;
    options.world.host.memory = *least * factor;
    EXPECT_TRUE(Simulate(timeline, policy, options).Meets(kStrict)) << factor;
  }
}

TEST(LeastHostTest, ToleranceNeverNeedsMore) {
  const absl::StatusOr<Trace> trace = MakeScenario("desk1");
  ASSERT_THAT(trace, IsOk());
  const Timeline timeline(*trace, kStepUsec);
  const Bounds bounds = BoundsOf(timeline);
  const Policy policy = PolicyNamed("chromeos");
  const std::optional<double> strict =
      LeastHost(timeline, policy, {}, bounds, kStrict);
  const std::optional<double> tolerant =
      LeastHost(timeline, policy, {}, bounds, kTolerant);
  ASSERT_TRUE(strict.has_value() && tolerant.has_value());
  EXPECT_LE(*tolerant, *strict);
}

}  // namespace
}  // namespace vmsilo::balloond::sim
