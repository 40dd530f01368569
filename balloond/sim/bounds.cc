#include "balloond/sim/bounds.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "balloond/sim/criterion.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {
namespace {

// What a guest without a driver occupies: all it ever touched.
std::vector<double> Untouchable(const Timeline& timeline, int vm) {
  const VmTrace& trace = timeline.trace().vms[vm];
  Guest guest(trace.memory);
  const double dt = timeline.step_seconds();
  std::vector<double> resident(timeline.steps());
  for (int step = 0; step < timeline.steps(); ++step) {
    const Demand& demand = timeline.at(step, vm);
    if (!demand.is_on) continue;
    if (!demand.is_suspended) guest.Step(demand, dt, {});
    resident[step] = guest.occupied();
  }
  return resident;
}

}  // namespace

Bounds BoundsOf(const Timeline& timeline) {
  const std::vector<VmTrace>& vms = timeline.trace().vms;
  const double dt = timeline.step_seconds();
  std::vector<double> needed(timeline.steps());
  std::vector<double> possible(timeline.steps());
  Bounds bounds;
  double up_time = 0;
  for (int step = 0; step < timeline.steps(); ++step) {
    needed[step] = timeline.host(step);
    possible[step] = timeline.host(step);
  }
  for (int vm = 0; vm < timeline.vms(); ++vm) {
    const double memory = vms[vm].memory;
    bounds.memory += memory;
    std::vector<double> untouchable;
    if (!vms[vm].has_driver) untouchable = Untouchable(timeline, vm);
    double age = 0;
    double last_anon = 0;
    for (int step = 0; step < timeline.steps(); ++step) {
      const Demand& demand = timeline.at(step, vm);
      if (!demand.is_on) {
        age = 0;
        last_anon = 0;
        continue;
      }
      // Who sleeps keeps what it had.
      if (!demand.is_suspended) {
        age += dt;
        up_time += dt;
        last_anon = demand.anon;
      }
      const double all = Guest::kKernel + last_anon + demand.hot;
      const double hot_at_least = age > kSettling && !demand.is_suspended
                                      ? (1 - kHarmfulMiss) * demand.hot
                                      : 0;
      if (!untouchable.empty()) {
        needed[step] +=
            std::max(untouchable[step],
                     Guest::kOverhead +
                         std::min(memory, all + Guest::WatermarkOf(memory)));
        possible[step] += untouchable[step];
      } else {
        needed[step] += Guest::kOverhead +
                        std::min(memory, all + Guest::WatermarkOf(memory));
        possible[step] +=
            Guest::kOverhead +
            std::min(memory, Guest::kKernel + last_anon + hot_at_least);
      }
    }
  }
  // Each step with less than is possible is one under pressure, of the host
  // or of some guest; so many may be.
  const auto forgiven = static_cast<size_t>(
      kStrict.pressure * (up_time + timeline.trace().duration) / dt);
  std::sort(possible.begin(), possible.end(), std::greater<>());
  if (possible.empty()) return bounds;
  bounds.possible = possible[std::min(forgiven, possible.size() - 1)] /
                    (1 - kHostReserveAtLeast);
  bounds.needed =
      *std::max_element(needed.begin(), needed.end()) / (1 - kHostReserve);
  return bounds;
}

}  // namespace vmsilo::balloond::sim
