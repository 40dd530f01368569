#pragma once

#include <string>
#include <vector>

#include "balloond/sim/result.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"

// What people read of measurements.
namespace vmsilo::balloond::sim {

// All that was measured of one policy; every policy has the same workloads in
// the same order.
struct PolicyScores {
  std::string policy;
  std::vector<Score> scores;
  std::vector<FixedRun> fixed;
};

// A line for each policy: efficiency by workload (desks together), the mean,
// the worst, and what it costs.
Table MainTable(const std::vector<PolicyScores>& results);

// A line for each workload, with what is known of it before.
Table WorkloadTable(const std::vector<Score>& scores);

// A line for each policy and workload: all figures.
Table DetailTable(const std::vector<PolicyScores>& results);

// A line for each policy and workload with a host of a fixed size.
Table FixedTable(const std::vector<PolicyScores>& results);

// A line for each workload with a host of a fixed size, a column for each
// policy: how far and how often balloons go back and forth in the second
// half, and what the host kills.
Table SwingTable(const std::vector<PolicyScores>& results);

// A line for each run.
Table RunTable();
void AddRun(const std::string& policy, const std::string& workload,
            const RunResult& run, Table* table);

}  // namespace vmsilo::balloond::sim
