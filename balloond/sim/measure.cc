#include "balloond/sim/measure.h"

#include <optional>

#include "balloond/sim/bounds.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {
namespace {

// Passing need not be monotone: so much more must pass as well.
constexpr double kAlso[] = {1.02, 1.05, 1.10};
// As a share of what is needed: nobody passes there.
constexpr double kHopeless = 0.9;

}  // namespace

std::optional<double> LeastHost(const Timeline& timeline, const Policy& policy,
                                RunOptions options, const Bounds& bounds,
                                const Criterion& criterion) {
  options.stop_at_harm = &criterion;
  const auto passes = [&](double memory) {
    options.world.host.memory = memory;
    return Simulate(timeline, policy, options).Meets(criterion);
  };
  double fails = kHopeless * bounds.needed;
  if (!passes(kLargestHost)) return std::nullopt;
  while (true) {
    double least = kLargestHost;
    while (least - fails > kHostResolution) {
      const double middle = (fails + least) / 2;
      (passes(middle) ? least : fails) = middle;
    }
    const double found = least;
    for (const double factor : kAlso) {
      if (found * factor < kLargestHost && !passes(found * factor)) {
        fails = found * factor;
        break;
      }
    }
    if (fails < found) return found;
  }
}

}  // namespace vmsilo::balloond::sim
