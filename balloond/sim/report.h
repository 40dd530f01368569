#pragma once

#include <string>
#include <vector>

#include "balloond/sim/result.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"

// What people read of measurements.
namespace vmsilo::balloond::sim {

// All scores of one policy, one for each workload; every policy has the same
// workloads in the same order.
struct PolicyScores {
  std::string policy;
  std::vector<Score> scores;
};

// A line for each policy: efficiency by workload (desks together), the mean,
// the worst, and what it costs.
Table MainTable(const std::vector<PolicyScores>& results);

// A line for each workload, with what is known of it before.
Table WorkloadTable(const std::vector<Score>& scores);

// A line for each policy and workload: all figures.
Table DetailTable(const std::vector<PolicyScores>& results);

// A line for each run.
Table RunTable();
void AddRun(const std::string& policy, const std::string& workload,
            const RunResult& run, Table* table);

}  // namespace vmsilo::balloond::sim
