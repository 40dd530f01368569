#include "balloond/sim/commands.h"

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "balloond/sim/document.h"
#include "balloond/sim/plot.h"
#include "balloond/sim/policies.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/program.h"
#include "balloond/sim/report.h"
#include "balloond/sim/result.h"
#include "balloond/sim/run.h"
#include "balloond/sim/samples.h"
#include "balloond/sim/scenarios.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/trace_file.h"
#include "balloond/sim/variations.h"
#include "balloond/sim/world.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::balloond::sim {
namespace {

// Documents are written by people.
constexpr size_t kMaxDocumentBytes = 1 << 20;

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

// Bazel runs programs elsewhere than it was called.
std::string UserPath(const std::string& path) {
  const char* directory = getenv("BUILD_WORKING_DIRECTORY");
  if (directory == nullptr || absl::StartsWith(path, "/")) return path;
  return absl::StrCat(directory, "/", path);
}

struct Seeds {
  int first = 1;
  int last = 1;
};

absl::StatusOr<Seeds> ParseSeeds(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '-');
  if (parts.size() > 2) {
    return absl::InvalidArgumentError("expected 1-10, or 3");
  }
  Seeds seeds;
  VMSILO_ASSIGN_OR_RETURN(seeds.first,
                          ParseNumber<int>(parts[0], 1, kLastSeed));
  VMSILO_ASSIGN_OR_RETURN(
      seeds.last, ParseNumber<int>(parts.back(), seeds.first, kLastSeed));
  return seeds;
}

absl::StatusOr<std::vector<Policy>> ChosenPolicies(const std::string& names) {
  if (names == "all") return Policies();
  std::vector<Policy> policies;
  for (const absl::string_view name : absl::StrSplit(names, ',')) {
    absl::StatusOr<Policy> policy = FindPolicy(name);
    if (!policy.ok()) return WithExitCode(policy.status(), kExitUsage);
    policies.push_back(*std::move(policy));
  }
  return policies;
}

absl::StatusOr<std::vector<std::string>> ChosenScenarios(const Flags& flags) {
  const absl::StatusOr<Seeds> seeds = ParseSeeds(flags.seeds);
  if (!seeds.ok()) {
    return WithExitCode(Annotate(seeds.status(), "--seeds"), kExitUsage);
  }
  std::vector<std::string> names;
  const auto add = [&](const std::vector<std::string>& more) {
    names.insert(names.end(), more.begin(), more.end());
  };
  const std::vector<std::string> chosen = absl::StrSplit(flags.scenarios, ',');
  for (const std::string& name : chosen) {
    if (name == "all") add(ScoredScenarios());
    if (name == "all" || name == "desk") {
      for (int seed = seeds->first; seed <= seeds->last; ++seed) {
        names.push_back(absl::StrCat("desk", seed));
      }
    } else if (name == "fixed") {
      add(FixedScenarios());
    } else if (name == "streams") {
      add(StreamScenarios());
    } else {
      names.push_back(name);
    }
  }
  return names;
}

// The sealed desks are opened by intent only.
absl::Status CheckSeal(const std::vector<std::string>& names, bool is_final) {
  if (is_final) return absl::OkStatus();
  for (const std::string& name : names) {
    absl::string_view number = name;
    if (!absl::ConsumePrefix(&number, "desk")) continue;
    const absl::StatusOr<int> seed = ParseNumber<int>(number);
    if (seed.ok() && *seed > kLastTuningSeed) {
      return Usage(absl::StrCat(
          name, " is sealed: policies are tuned on desk1 to desk",
          kLastTuningSeed,
          ", and what they make of the others is looked at once, at the end, "
          "with --final"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Trace> ScenarioNamed(const std::string& name) {
  absl::StatusOr<Trace> trace = MakeScenario(name);
  if (trace.ok()) return trace;
  return WithExitCode(trace.status(), kExitUsage);
}

absl::StatusOr<Trace> ReadTrace(const std::string& path) {
  VMSILO_ASSIGN_OR_RETURN(const std::string text,
                          ReadFile(UserPath(path), kMaxTraceBytes));
  absl::StatusOr<Trace> trace = ParseTrace(text);
  if (trace.ok()) return trace;
  return WithExitCode(Annotate(trace.status(), Quoted(path)), kExitDataError);
}

absl::StatusOr<std::vector<Trace>> ChosenTraces(const Flags& flags) {
  std::vector<Trace> traces;
  for (const std::string& path : flags.traces) {
    VMSILO_ASSIGN_OR_RETURN(Trace trace, ReadTrace(path));
    traces.push_back(std::move(trace));
  }
  if (!traces.empty()) return traces;
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ChosenScenarios(flags));
  VMSILO_RETURN_IF_ERROR(CheckSeal(names, flags.is_final));
  for (const std::string& name : names) {
    VMSILO_ASSIGN_OR_RETURN(Trace trace, ScenarioNamed(name));
    traces.push_back(std::move(trace));
  }
  return traces;
}

absl::Status Print(absl::string_view text) {
  return WriteAll(STDOUT_FILENO, text);
}

// With the memory that was asked for, instead of the least.
absl::Status RunOnce(const Flags& flags, const std::vector<Policy>& policies,
                     const std::vector<Workload>& workloads,
                     RunOptions options) {
  options.world.host.memory = flags.memory;
  const bool writes_samples = !flags.samples.empty();
  if (writes_samples && policies.size() * workloads.size() != 1) {
    return Usage("--samples needs one policy and one scenario");
  }
  if (!flags.plot.empty()) {
    if (workloads.size() != 1) return Usage("--plot needs one scenario");
    VMSILO_RETURN_IF_ERROR(WriteFileAtomically(
        UserPath(flags.plot), Plot(workloads[0], policies, options), 0644));
  }
  std::string samples = SampleHeading();
  Watcher watcher;
  if (writes_samples) {
    watcher = [&](const World& world) { samples += SampleLines(world); };
  }
  Table table = RunTable();
  for (const Policy& policy : policies) {
    for (const Workload& workload : workloads) {
      AddRun(policy.name, workload.timeline.trace().name,
             Simulate(workload.timeline, policy, options, watcher), &table);
    }
  }
  if (writes_samples) {
    VMSILO_RETURN_IF_ERROR(
        WriteFileAtomically(UserPath(flags.samples), samples, 0644));
  }
  return Print(table.Text());
}

std::vector<PolicyScores> MeasureAll(const std::vector<Policy>& policies,
                                     const std::vector<Workload>& workloads,
                                     const RunOptions& options) {
  std::vector<PolicyScores> results;
  for (const Policy& policy : policies) {
    PolicyScores result = {.policy = policy.name};
    for (const Workload& workload : workloads) {
      if (workload.timeline.trace().fixed_ratio > 0) {
        result.fixed.push_back(MeasureFixed(workload, policy, options));
      } else {
        result.scores.push_back(Measure(workload, policy, options));
      }
    }
    results.push_back(std::move(result));
  }
  return results;
}

// What is drawn: so little more than is needed that only a good policy gets
// through.
constexpr char kDrawn[] = "spike";
constexpr double kDrawnRatio = 1.2;

// Whose score in other worlds is of interest.
constexpr char kVaried[] = "level,committed,chromeos,prototype,qmemman,oracle";

// Who might swing.
constexpr char kSwinging[] = "level,committed,chromeos,prototype";

absl::Status WriteDocument(const Flags& flags, const RunOptions& options) {
  Flags all = flags;
  all.policies = "all";
  all.scenarios = "all,fixed";
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Policy> policies,
                          ChosenPolicies(all.policies));
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Trace> traces, ChosenTraces(all));
  const std::vector<PolicyScores> results =
      MeasureAll(policies, Workloads(traces, kStepUsec), options);
  all.scenarios = "all";
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Trace> scored, ChosenTraces(all));
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Policy> varied,
                          ChosenPolicies(kVaried));

  all.scenarios = "streams";
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Trace> streams, ChosenTraces(all));
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Policy> swinging,
                          ChosenPolicies(kSwinging));

  const std::string path = UserPath(flags.document);
  VMSILO_ASSIGN_OR_RETURN(std::string document,
                          ReadFile(path, kMaxDocumentBytes));
  const std::pair<absl::string_view, std::string> parts[] = {
      {"scores", absl::StrCat("Desks ", flags.seeds, ".\n\n",
                              MainTable(results).Markdown())},
      {"workloads", WorkloadTable(results.front().scores).Markdown()},
      {"fixed", FixedTable(results).Markdown()},
      {"streams",
       SwingTable(MeasureAll(swinging, Workloads(streams, kStepUsec), options))
           .Markdown()},
      {"variations", VariationTable(scored, varied, options).Markdown()}};
  for (const auto& [name, text] : parts) {
    VMSILO_ASSIGN_OR_RETURN(document, ReplacePart(document, name, text));
  }

  VMSILO_ASSIGN_OR_RETURN(const Trace drawn, ScenarioNamed(kDrawn));
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Policy> pair,
                          ChosenPolicies("committed,chromeos"));
  const Workload workload(drawn, kStepUsec);
  RunOptions run = options;
  run.world.host.memory = kDrawnRatio * workload.bounds.needed;
  const std::string drawing =
      absl::StrCat(absl::StripSuffix(path, ".md"), ".svg");
  VMSILO_RETURN_IF_ERROR(
      WriteFileAtomically(drawing, Plot(workload, pair, run), 0644));
  return WriteFileAtomically(path, document, 0644);
}

}  // namespace

absl::Status RunCommand(const Flags& flags) {
  if (!flags.printed_trace.empty()) {
    VMSILO_RETURN_IF_ERROR(CheckSeal({flags.printed_trace}, flags.is_final));
    VMSILO_ASSIGN_OR_RETURN(const Trace trace,
                            ScenarioNamed(flags.printed_trace));
    return Print(FormatTrace(trace));
  }
  RunOptions options = flags.run;
  options.world.guest.deflates_on_oom = !flags.keeps_balloon_on_oom;
  if (flags.is_final) {
    VMSILO_RETURN_IF_ERROR(Print("The sealed desks are open.\n\n"));
  }
  if (!flags.document.empty()) return WriteDocument(flags, options);

  VMSILO_ASSIGN_OR_RETURN(const std::vector<Policy> policies,
                          ChosenPolicies(flags.policies));
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Trace> traces, ChosenTraces(flags));
  const std::vector<Workload> workloads =
      Workloads(traces, flags.has_fine_steps ? kFineStepUsec : kStepUsec);
  if (flags.memory > 0) return RunOnce(flags, policies, workloads, options);
  if (!flags.samples.empty() || !flags.plot.empty()) {
    return Usage("--samples and --plot need --memory");
  }

  const std::vector<PolicyScores> results =
      MeasureAll(policies, workloads, options);
  std::string text;
  if (flags.has_details && !results.front().scores.empty()) {
    absl::StrAppend(&text, WorkloadTable(results.front().scores).Text(), "\n",
                    DetailTable(results).Text(), "\n");
  }
  if (!results.front().fixed.empty()) {
    absl::StrAppend(&text, FixedTable(results).Text(), "\n");
  }
  if (!results.front().scores.empty()) {
    absl::StrAppend(&text, MainTable(results).Text());
  }
  if (flags.has_variations) {
    absl::StrAppend(&text, "\n",
                    VariationTable(traces, policies, options).Text());
  }
  return Print(text);
}

}  // namespace vmsilo::balloond::sim
