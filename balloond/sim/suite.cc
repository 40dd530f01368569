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
#include "balloond/sim/result.h"
#include "balloond/sim/run.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kBusy = 1.25;
constexpr double kCalm = 2;
constexpr double kShort = 0.95;

// As good as what would have been: so much of all is elsewhere.
constexpr double kNear = 0.1;

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

std::vector<Workload> Workloads(const std::vector<Trace>& traces,
                                int64_t step_usec) {
  std::vector<Workload> workloads;
  workloads.reserve(traces.size());
  for (const Trace& trace : traces) workloads.emplace_back(trace, step_usec);
  return workloads;
}

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
  run.world.host.memory = kShort * bounds.needed;
  const RunResult tight = Simulate(timeline, policy, run);
  const auto [least, most] = std::minmax_element(tight.pressure_time_of.begin(),
                                                 tight.pressure_time_of.end());
  if (least != tight.pressure_time_of.end()) {
    score.unfairness = (*most - *least) / tight.run_time;
  }
  return score;
}

namespace {

// What each guest has, step after step.
std::vector<double> Visible(const Timeline& timeline, const Policy& policy,
                            const RunOptions& options) {
  std::vector<double> visible;
  (void)Simulate(timeline, policy, options, [&](const World& world) {
    for (int vm = 0; vm < world.vms(); ++vm) {
      visible.push_back(world.guest(vm).memory() - world.guest(vm).balloon());
    }
  });
  return visible;
}

double Recovery(const Timeline& timeline, const Policy& policy,
                const RunOptions& options) {
  Trace undisturbed = timeline.trace();
  undisturbed.daemon_down.clear();
  const std::vector<double> expected =
      Visible(Timeline(undisturbed, timeline.step_usec()), policy, options);
  const std::vector<double> actual = Visible(timeline, policy, options);
  const auto is_near = [&](int step) {
    double off = 0;
    double all = 0;
    for (int vm = 0; vm < timeline.vms(); ++vm) {
      const size_t i = static_cast<size_t>(step) * timeline.vms() + vm;
      off += std::abs(actual[i] - expected[i]);
      all += expected[i];
    }
    return off <= kNear * all;
  };
  double longest = 0;
  for (const Span& span : timeline.trace().daemon_down) {
    const int back = static_cast<int>(span.to / timeline.step_seconds());
    int step = back;
    while (step < timeline.steps() && !is_near(step)) ++step;
    if (step >= timeline.steps()) return kNever;
    longest = std::max(longest, (step - back) * timeline.step_seconds());
  }
  return longest;
}

}  // namespace

FixedRun MeasureFixed(const Workload& workload, const Policy& policy,
                      RunOptions options) {
  const Timeline& timeline = workload.timeline;
  options.world.host.memory =
      timeline.trace().fixed_ratio * workload.bounds.needed;
  FixedRun fixed = {.workload = timeline.trace().name,
                    .memory = options.world.host.memory,
                    .run = Simulate(timeline, policy, options)};
  if (!timeline.trace().daemon_down.empty()) {
    fixed.recovery = Recovery(timeline, policy, options);
  }
  return fixed;
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
