#include "balloond/sim/suite.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "balloond/sim/bounds.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/measure.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kBusy = 1.25;
constexpr double kCalm = 2;

double Ratio(double of, const std::optional<double>& to) {
  return to.has_value() ? of / *to : 0;
}

// Of sorted values.
double Percentile(const std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(std::ceil(share * last))];
}

// 0 as soon as one of them is.
class GeometricMean {
 public:
  void Add(double value) {
    ++count_;
    if (value > 0) {
      sum_ += std::log(value);
    } else {
      is_zero_ = true;
    }
  }
  double value() const {
    return count_ > 0 && !is_zero_ ? std::exp(sum_ / count_) : 0;
  }

 private:
  double sum_ = 0;
  int count_ = 0;
  bool is_zero_ = false;
};

}  // namespace

Workload::Workload(const Trace& trace, int64_t step_usec)
    : timeline(trace, step_usec), bounds(BoundsOf(timeline)) {}

double Score::efficiency() const { return Ratio(bounds.needed, strict); }
double Score::tolerant_efficiency() const {
  return Ratio(bounds.needed, tolerant);
}
double Score::possible_efficiency() const {
  return Ratio(bounds.possible, strict);
}

Score Measure(const Workload& workload, const Policy& policy,
              const RunOptions& options) {
  const Timeline& timeline = workload.timeline;
  const Bounds& bounds = workload.bounds;
  Score score = {.workload = timeline.trace().name, .bounds = bounds};
  score.strict = LeastHost(timeline, policy, options, bounds, kStrict);
  score.tolerant = LeastHost(timeline, policy, options, bounds, kTolerant);
  RunOptions run = options;
  run.world.host.memory = kBusy * bounds.needed;
  score.busy = Simulate(timeline, policy, run);
  run.world.host.memory = kCalm * bounds.needed;
  score.calm = Simulate(timeline, policy, run);
  return score;
}

Summary Summarise(const std::vector<Score>& scores) {
  Summary summary;
  if (scores.empty()) return summary;
  GeometricMean strict;
  GeometricMean tolerant;
  GeometricMean possible;
  std::vector<double> reactions;
  summary.worst = std::numeric_limits<double>::infinity();
  for (const Score& score : scores) {
    strict.Add(score.efficiency());
    tolerant.Add(score.tolerant_efficiency());
    possible.Add(score.possible_efficiency());
    if (score.efficiency() < summary.worst) {
      summary.worst = score.efficiency();
      summary.worst_workload = score.workload;
    }
    summary.busy_messages += score.busy.messages_per_minute();
    summary.calm_messages += score.calm.messages_per_minute();
    summary.travel += score.busy.travel_gib_per_minute();
    summary.busy_reads +=
        static_cast<double>(score.busy.host_reads) / score.busy.run_time;
    summary.kills += score.busy.kills + score.calm.kills;
    summary.host_ooms += score.busy.host_ooms + score.calm.host_ooms;
    reactions.insert(reactions.end(), score.busy.reactions.begin(),
                     score.busy.reactions.end());
  }
  const auto count = static_cast<double>(scores.size());
  summary.geometric_mean = strict.value();
  summary.tolerant_mean = tolerant.value();
  summary.possible_mean = possible.value();
  summary.busy_messages /= count;
  summary.calm_messages /= count;
  summary.travel /= count;
  summary.busy_reads /= count;
  std::sort(reactions.begin(), reactions.end());
  summary.reaction_p50 = Percentile(reactions, 0.5);
  summary.reaction_p99 = Percentile(reactions, 0.99);
  summary.reaction_max = Percentile(reactions, 1);
  return summary;
}

}  // namespace vmsilo::balloond::sim
