#include "balloond/sim/report.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "balloond/sim/result.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"
#include "balloond/sim/trace.h"

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

namespace {

// Of the run of this name; nothing if there is none.
std::string FixedMessages(const PolicyScores& result,
                          const std::string& workload) {
  for (const FixedRun& fixed : result.fixed) {
    if (fixed.workload == workload) {
      return Whole(fixed.run.messages_per_minute());
    }
  }
  return "";
}

double OracleTravel(const std::vector<PolicyScores>& results) {
  for (const PolicyScores& result : results) {
    if (result.policy == "oracle") return Summarise(result.scores).travel;
  }
  return 0;
}

std::vector<std::string> MainHeadings(const PolicyScores& result) {
  std::vector<std::string> headings = {"policy"};
  bool has_desks = false;
  for (const Score& score : result.scores) {
    if (IsDesk(score)) {
      has_desks = true;
    } else {
      headings.push_back(score.workload);
    }
  }
  if (has_desks) {
    headings.insert(headings.end(), {"desks", "worst desk"});
  }
  headings.insert(
      headings.end(),
      {"score", "worst", "of possible", "tolerant", "msg busy", "calm", "idle",
       "travel", "of oracle's", "reaction p50", "p99", "kills", "host OOMs"});
  return headings;
}

}  // namespace

Table MainTable(const std::vector<PolicyScores>& results) {
  if (results.empty()) return Table({"policy"});
  Table table(MainHeadings(results.front()));
  const double oracle_travel = OracleTravel(results);
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
    if (!desks.empty()) {
      const Summary summary = Summarise(desks);
      cells.push_back(Efficiency(summary.geometric_mean));
      cells.push_back(Efficiency(summary.worst));
    }
    const Summary summary = Summarise(result.scores);
    cells.insert(
        cells.end(),
        {Precise(summary.geometric_mean), Efficiency(summary.worst),
         Efficiency(summary.possible_mean), Efficiency(summary.tolerant_mean),
         Whole(summary.busy_messages), Whole(summary.calm_messages),
         FixedMessages(result, "idle"), absl::StrFormat("%.2f", summary.travel),
         oracle_travel > 0
             ? absl::StrFormat("%.2f", summary.travel / oracle_travel)
             : "",
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
          "OOMs",          "exempt",       "reads/s",    "longest reaction"};
}

std::vector<std::string> RunCells(const RunResult& run) {
  return {
      Whole(run.messages_per_minute()),
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
                      static_cast<double>(run.host_reads) / run.run_time),
      absl::StrFormat("%.1f", run.reactions.empty()
                                  ? 0.0
                                  : *std::max_element(run.reactions.begin(),
                                                      run.reactions.end()))};
}

std::vector<std::string> Joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace

Table DetailTable(const std::vector<PolicyScores>& results) {
  Table table(Joined({"policy", "workload", "least MiB", "efficiency",
                      "tolerant", "unfair %", "msg calm"},
                     RunHeadings()));
  for (const PolicyScores& result : results) {
    for (const Score& score : result.scores) {
      table.AddRow(Joined(
          {result.policy, score.workload,
           score.strict.has_value() ? Whole(*score.strict) : "–",
           Precise(score.efficiency()), Precise(score.tolerant_efficiency()),
           absl::StrFormat("%.1f", 100 * score.unfairness),
           Whole(score.calm.messages_per_minute())},
          RunCells(score.busy)));
    }
  }
  return table;
}

namespace {

std::string Recovery(const FixedRun& fixed) {
  if (!fixed.recovery.has_value()) return "";
  if (*fixed.recovery == kNever) return "never";
  return absl::StrFormat("%.1f", *fixed.recovery);
}

}  // namespace

Table FixedTable(const std::vector<PolicyScores>& results) {
  Table table(
      Joined({"policy", "workload", "host MiB", "recovery"}, RunHeadings()));
  for (const PolicyScores& result : results) {
    for (const FixedRun& fixed : result.fixed) {
      table.AddRow(Joined(
          {result.policy, fixed.workload, Whole(fixed.memory), Recovery(fixed)},
          RunCells(fixed.run)));
    }
  }
  return table;
}

Table SwingTable(const std::vector<PolicyScores>& results) {
  std::vector<std::string> headings = {"workload"};
  for (const PolicyScores& result : results) headings.push_back(result.policy);
  Table table(headings);
  for (size_t i = 0; i < results.front().fixed.size(); ++i) {
    std::vector<std::string> cells = {results.front().fixed[i].workload};
    for (const PolicyScores& result : results) {
      const RunResult& run = result.fixed[i].run;
      cells.push_back(absl::StrFormat("%.0f / %.1f / %d", run.amplitude,
                                      run.reversals_per_minute(),
                                      run.host_ooms));
    }
    table.AddRow(cells);
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
