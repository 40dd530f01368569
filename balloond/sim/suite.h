#pragma once

#include <optional>
#include <string>
#include <vector>

#include "balloond/sim/bounds.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/result.h"
#include "balloond/sim/run.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

// A workload and what is known of it before any policy has seen it.
struct Workload {
  explicit Workload(const Trace& trace, int64_t step_usec);

  Timeline timeline;
  Bounds bounds;
};

std::vector<Workload> Workloads(const std::vector<Trace>& traces,
                                int64_t step_usec);

// What one policy made of one workload.
struct Score {
  std::string workload;
  Bounds bounds;
  // The least host memory with which nobody is harmed, MiB.
  std::optional<double> strict;
  std::optional<double> tolerant;
  // With a quarter more than is needed at least, and with twice as much.
  RunResult busy;
  RunResult calm;
  // With a twentieth less than is needed, where somebody must be under
  // pressure: by how much longer, as a share of the run, the one that is most
  // is so than the one that is least.
  double unfairness = 0;

  // What is needed over what it takes; 0 if nothing suffices.
  double efficiency() const;
  double tolerant_efficiency() const;
  // Against what is possible at all.
  double possible_efficiency() const;
};

Score Measure(const Workload& workload, const Policy& policy,
              const RunOptions& options);

// What one policy made of a workload with a host of a fixed size.
struct FixedRun {
  std::string workload;
  double memory = 0;  // of the host, MiB
  RunResult run;
  // Where the daemon was away: after how many seconds at most what guests
  // have was the same as if it had not been, but for a tenth; kNever if not in
  // time.
  std::optional<double> recovery;
};

FixedRun MeasureFixed(const Workload& workload, const Policy& policy,
                      RunOptions options);

// The figures of a policy over several workloads.
struct Summary {
  double geometric_mean = 0;
  double worst = 0;
  std::string worst_workload;
  double tolerant_mean = 0;
  double possible_mean = 0;  // against what is possible
  double busy_messages = 0;  // a VM and minute, mean over the workloads
  double calm_messages = 0;
  double travel = 0;        // GiB a VM and minute, busy
  double reaction_p50 = 0;  // seconds, busy, of all workloads together
  double reaction_p99 = 0;
  double reaction_max = 0;
  double busy_reads = 0;  // of the host, a second
  int kills = 0;          // busy and calm
  int host_ooms = 0;      // likewise
};

Summary Summarise(const std::vector<Score>& scores);

}  // namespace vmsilo::balloond::sim
