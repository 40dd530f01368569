#include "balloond/sim/report.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "balloond/sim/result.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"

namespace vmsilo::balloond::sim {
namespace {

std::string Efficiency(double value) {
  return value > 0 ? absl::StrFormat("%.2f", value) : "–";
}

std::string Precise(double value) {
  return value > 0 ? absl::StrFormat("%.3f", value) : "–";
}

std::string Whole(double value) { return absl::StrFormat("%.0f", value); }

bool IsDesk(const Score& score) {
  return absl::StartsWith(score.workload, "desk");
}

}  // namespace

Table MainTable(const std::vector<PolicyScores>& results) {
  std::vector<std::string> headings = {"policy"};
  bool has_desks = false;
  if (!results.empty()) {
    for (const Score& score : results.front().scores) {
      if (IsDesk(score)) {
        has_desks = true;
      } else {
        headings.push_back(score.workload);
      }
    }
  }
  if (has_desks) {
    headings.insert(headings.end(), {"desks", "worst desk"});
  }
  headings.insert(
      headings.end(),
      {"score", "worst", "tolerant", "of possible", "msg busy", "msg calm",
       "travel", "reaction p50", "p99", "kills", "host OOMs"});
  Table table(headings);
  for (const PolicyScores& result : results) {
    std::vector<std::string> cells = {result.policy};
    std::vector<Score> desks;
    for (const Score& score : result.scores) {
      if (IsDesk(score)) {
        desks.push_back(score);
      } else {
        cells.push_back(Efficiency(score.efficiency()));
      }
    }
    if (has_desks) {
      const Summary summary = Summarise(desks);
      cells.push_back(Efficiency(summary.geometric_mean));
      cells.push_back(Efficiency(summary.worst));
    }
    const Summary summary = Summarise(result.scores);
    cells.insert(
        cells.end(),
        {Precise(summary.geometric_mean), Efficiency(summary.worst),
         Efficiency(summary.tolerant_mean), Efficiency(summary.possible_mean),
         Whole(summary.busy_messages), Whole(summary.calm_messages),
         absl::StrFormat("%.2f", summary.travel),
         absl::StrFormat("%.1f", summary.reaction_p50),
         absl::StrFormat("%.1f", summary.reaction_p99),
         absl::StrCat(summary.kills), absl::StrCat(summary.host_ooms)});
    table.AddRow(cells);
  }
  return table;
}

Table WorkloadTable(const std::vector<Score>& scores) {
  Table table({"workload", "needed", "possible", "all VMs"});
  for (const Score& score : scores) {
    table.AddRow({score.workload, Whole(score.bounds.needed),
                  Whole(score.bounds.possible), Whole(score.bounds.memory)});
  }
  return table;
}

namespace {

// What a run was like.
std::vector<std::string> RunHeadings() {
  return {"msg",           "travel",       "reversals",  "amplitude",
          "guest press %", "host press %", "deflations", "kills",
          "OOMs",          "exempt",       "reads/s"};
}

std::vector<std::string> RunCells(const RunResult& run) {
  return {Whole(run.messages_per_minute()),
          absl::StrFormat("%.2f", run.travel_gib_per_minute()),
          absl::StrFormat("%.1f", run.reversals_per_minute()),
          Whole(run.amplitude),
          absl::StrFormat("%.2f", 100 * run.guest_pressure_time / run.up_time),
          absl::StrFormat("%.2f", 100 * run.host_pressure_time / run.run_time),
          absl::StrCat(run.oom_deflations),
          absl::StrCat(run.kills),
          absl::StrCat(run.host_ooms),
          absl::StrCat(run.exempt_deaths),
          absl::StrFormat("%.1f",
                          static_cast<double>(run.host_reads) / run.run_time)};
}

std::vector<std::string> Joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

Table DetailTable(const std::vector<PolicyScores>& results) {
  Table table(Joined(
      {"policy", "workload", "least MiB", "efficiency", "tolerant", "msg calm"},
      RunHeadings()));
  for (const PolicyScores& result : results) {
    for (const Score& score : result.scores) {
      table.AddRow(Joined(
          {result.policy, score.workload,
           score.strict.has_value() ? Whole(*score.strict) : "–",
           Precise(score.efficiency()), Precise(score.tolerant_efficiency()),
           Whole(score.calm.messages_per_minute())},
          RunCells(score.busy)));
    }
  }
  return table;
}

Table RunTable() {
  return Table(Joined({"policy", "workload"}, RunHeadings()));
}

void AddRun(const std::string& policy, const std::string& workload,
            const RunResult& run, Table* table) {
  table->AddRow(Joined({policy, workload}, RunCells(run)));
}

}  // namespace vmsilo::balloond::sim
