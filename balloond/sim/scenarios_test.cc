#include "balloond/sim/scenarios.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "balloond/sim/bounds.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/trace.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kStepUsec = 100'000;

// Without what hypervisors have for themselves.
double NeededByGuests(const std::string& name) {
  const absl::StatusOr<Trace> trace = MakeScenario(name);
  EXPECT_THAT(trace, IsOk()) << name;
  if (!trace.ok()) return 0;
  return BoundsOf(Timeline(*trace, kStepUsec)).needed -
         static_cast<double>(trace->vms.size()) * Guest::kOverhead /
             (1 - kHostReserve);
}

// A scenario that changes makes all earlier figures incomparable.
TEST(ScenariosTest, NeedWhatTheyNeeded) {
  EXPECT_NEAR(NeededByGuests("spike"), 11268, 0.5);
  EXPECT_NEAR(NeededByGuests("herd"), 16800, 0.5);
  EXPECT_NEAR(NeededByGuests("host"), 14927, 0.5);
  EXPECT_NEAR(NeededByGuests("ramp"), 14571, 0.5);
  EXPECT_NEAR(NeededByGuests("thrash"), 11929, 0.5);
  EXPECT_NEAR(NeededByGuests("stuck"), 13762, 0.5);
  EXPECT_NEAR(NeededByGuests("desk1"), 19585, 0.5);
  EXPECT_NEAR(NeededByGuests("desk10"), 18680, 0.5);
}

TEST(ScenariosTest, AreWhole) {
  std::vector<std::string> names = ScenarioNames();
  for (int seed = 1; seed <= kLastSeed; ++seed) {
    names.push_back("desk" + std::to_string(seed));
  }
  names.insert(names.end(), {"stream-1-200", "stream-32-800"});
  for (const std::string& name : names) {
    const absl::StatusOr<Trace> trace = MakeScenario(name);
    ASSERT_THAT(trace, IsOk()) << name;
    EXPECT_EQ(trace->name, name);
    EXPECT_GT(trace->duration, 60) << name;
    for (const VmTrace& vm : trace->vms) {
      ASSERT_FALSE(vm.uses.empty()) << name;
      for (size_t i = 1; i < vm.uses.size(); ++i) {
        EXPECT_GT(vm.uses[i].time, vm.uses[i - 1].time) << name << vm.name;
      }
    }
    const Bounds bounds = BoundsOf(Timeline(*trace, kStepUsec));
    EXPECT_LT(bounds.possible, bounds.needed) << name;
    EXPECT_GT(bounds.possible, 0.85 * bounds.needed) << name;
    EXPECT_LT(bounds.needed, bounds.memory + 2100) << name;
  }
}

// Everybody can have what he wants, with enough memory.
TEST(ScenariosTest, NoGuestWantsMoreThanItHas) {
  for (const std::string& name : ScoredScenarios()) {
    const absl::StatusOr<Trace> trace = MakeScenario(name);
    ASSERT_THAT(trace, IsOk());
    for (const VmTrace& vm : trace->vms) {
      for (const Use& use : vm.uses) {
        EXPECT_LT(use.anon + use.hot + 120 + 41, vm.memory) << name << vm.name;
      }
    }
  }
}

TEST(ScenariosTest, RefusesWhatThereIsNot) {
  EXPECT_THAT(MakeScenario("spikes"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("thrash")));
  EXPECT_THAT(MakeScenario("desk0"), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(MakeScenario("desk21"), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(MakeScenario("stream-65-200"),
              StatusIs(absl::StatusCode::kOutOfRange));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
