#include "balloond/sim/program.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/policies.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/report.h"
#include "balloond/sim/result.h"
#include "balloond/sim/run.h"
#include "balloond/sim/samples.h"
#include "balloond/sim/scenarios.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"
#include "common/bytes.h"
#include "common/decimal.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/options.h"
#include "common/parse_number.h"
#include "common/parse_size.h"
#include "common/status_macros.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr int64_t kStepUsec = 100'000;
constexpr int64_t kFineStepUsec = 50'000;

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

struct Seeds {
  int first = 1;
  int last = 1;
};

absl::StatusOr<Seeds> ParseSeeds(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '-');
  if (parts.size() > 2) {
    return absl::InvalidArgumentError("expected seeds as 1-10 or 3");
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
    VMSILO_ASSIGN_OR_RETURN(Policy policy, FindPolicy(name));
    policies.push_back(std::move(policy));
  }
  return policies;
}

absl::StatusOr<std::vector<std::string>> ChosenScenarios(const Flags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const Seeds seeds, ParseSeeds(flags.seeds));
  std::vector<std::string> names;
  const std::vector<std::string> chosen = absl::StrSplit(flags.scenarios, ',');
  for (const std::string& name : chosen) {
    if (name == "all") {
      for (std::string& scored : ScoredScenarios()) {
        names.push_back(std::move(scored));
      }
    }
    if (name == "all" || name == "desk") {
      for (int seed = seeds.first; seed <= seeds.last; ++seed) {
        names.push_back(absl::StrCat("desk", seed));
      }
    } else {
      names.push_back(name);
    }
  }
  return names;
}

// The sealed desks are opened by intent only.
absl::Status CheckSeal(const std::vector<std::string>& names, bool is_final) {
  for (int seed = kLastTuningSeed + 1; seed <= kLastSeed; ++seed) {
    for (const std::string& name : names) {
      if (name != absl::StrCat("desk", seed)) continue;
      if (!is_final) {
        return Usage(absl::StrCat(
            name, " is sealed: policies are tuned on desk1 to desk",
            kLastTuningSeed,
            ", and what they make of the others is looked at once, at the "
            "end, with --final"));
      }
    }
  }
  return absl::OkStatus();
}

Option PercentOption(std::string name, std::string help, double* target) {
  return {.name = std::move(name),
          .argument = "PERCENT",
          .help = std::move(help),
          .apply = [target](absl::string_view text) {
            const absl::StatusOr<int64_t> value = ScaleDecimal(text, 1000);
            if (value.ok()) *target = static_cast<double>(*value) / 1000;
            return value.status();
          }};
}

Option RateOption(std::string name, std::string help, double* target) {
  return {.name = std::move(name),
          .argument = "MIB",
          .help = std::move(help),
          .apply = [target](absl::string_view text) {
            const absl::StatusOr<int> value =
                ParseNumber<int>(text, 1, 1'000'000);
            if (value.ok()) *target = *value;
            return value.status();
          }};
}

Option ByteOption(std::string name, std::string help, int64_t* target) {
  return {.name = std::move(name),
          .argument = "SIZE",
          .help = std::move(help),
          .apply = [target](absl::string_view text) {
            const absl::StatusOr<Bytes> value = ParseSize(text);
            if (value.ok()) *target = static_cast<int64_t>(value->count());
            return value.status();
          }};
}

Option AmountOption(std::string name, std::string help, double* target) {
  return {.name = std::move(name),
          .argument = "SIZE",
          .help = std::move(help),
          .apply = [target](absl::string_view text) {
            const absl::StatusOr<Bytes> value = ParseSize(text);
            if (value.ok()) {
              *target = static_cast<double>(value->count()) / kMiB;
            }
            return value.status();
          }};
}

// With the memory that was asked for, instead of the least.
absl::Status RunOnce(const Flags& flags, const std::vector<Policy>& policies,
                     const std::vector<Workload>& workloads,
                     const RunOptions& options) {
  const bool writes_samples = !flags.samples.empty();
  if (writes_samples && policies.size() * workloads.size() != 1) {
    return Usage("--samples needs one policy and one scenario");
  }
  std::string samples = SampleHeading();
  Table table = RunTable();
  for (const Policy& policy : policies) {
    for (const Workload& workload : workloads) {
      const RunResult result = Simulate(
          workload.timeline, policy, options,
          writes_samples
              ? [&](const World& world) { samples += SampleLines(world); }
              : Watcher());
      AddRun(policy.name, workload.timeline.trace().name, result, &table);
    }
  }
  if (writes_samples) {
    VMSILO_RETURN_IF_ERROR(WriteFileAtomically(flags.samples, samples, 0644));
  }
  return WriteAll(STDOUT_FILENO, table.Text());
}

absl::Status RunAll(const Flags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const std::vector<Policy> policies,
                          ChosenPolicies(flags.policies));
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ChosenScenarios(flags));
  VMSILO_RETURN_IF_ERROR(CheckSeal(names, flags.is_final));
  std::vector<Workload> workloads;
  workloads.reserve(names.size());
  for (const std::string& name : names) {
    VMSILO_ASSIGN_OR_RETURN(const Trace trace, MakeScenario(name));
    workloads.emplace_back(trace,
                           flags.has_fine_steps ? kFineStepUsec : kStepUsec);
  }
  RunOptions options = flags.run;
  options.world.guest.deflates_on_oom = !flags.keeps_balloon_on_oom;
  if (flags.memory > 0) {
    options.world.host.memory = flags.memory;
    return RunOnce(flags, policies, workloads, options);
  }
  std::vector<PolicyScores> results;
  for (const Policy& policy : policies) {
    PolicyScores result = {.policy = policy.name};
    for (const Workload& workload : workloads) {
      result.scores.push_back(Measure(workload, policy, options));
    }
    results.push_back(std::move(result));
  }
  std::string text;
  if (flags.is_final) {
    absl::StrAppend(&text, "The sealed desks have been opened.\n\n");
  }
  if (flags.has_details) {
    absl::StrAppend(&text, WorkloadTable(results.front().scores).Text(), "\n",
                    DetailTable(results).Text(), "\n");
  }
  absl::StrAppend(&text, MainTable(results).Text());
  return WriteAll(STDOUT_FILENO, text);
}

}  // namespace

Program MakeProgram(Flags* flags) {
  Settings& settings = flags->run.settings;
  GuestOptions& guest = flags->run.world.guest;
  return {
      .name = "sim",
      .summary = "Measure balloon policies in a model of a host and its VMs",
      .description =
          "Finds the least host memory with which a policy carries a "
          "workload unharmed, and prints what would be needed with perfect "
          "foresight over it: 1 is perfect. The score is the geometric mean "
          "over the workloads. The same command always prints the same.",
      .options =
          {StringOption("policy", "NAMES",
                        "The policies to measure, separated by commas, or all",
                        &flags->policies),
           StringOption("scenario", "NAMES",
                        "The workloads, separated by commas; all are those "
                        "that make the score, desk the random ones",
                        &flags->scenarios),
           StringOption("seeds", "FIRST-LAST",
                        "The random desks; those above 10 need --final",
                        &flags->seeds),
           SwitchOption("final", "Open the sealed desks", &flags->is_final),
           AmountOption("memory",
                        "Run once with this host instead of looking for the "
                        "least",
                        &flags->memory),
           StringOption("samples", "FILE",
                        "With --memory: write every step there, as "
                        "comma-separated values",
                        &flags->samples, Completion::kFile),
           SwitchOption("details", "A line for each policy and workload, too",
                        &flags->has_details),
           DurationOption("lag", "Statistics arrive so late", &flags->run.lag),
           DurationOption("renewal",
                          "Guests renew their statistics only so often",
                          &flags->run.renewal),
           RateOption("rho-in", "How fast guests inflate, MiB a second",
                      &guest.rates.inflate),
           RateOption("rho-out", "How fast guests deflate, MiB a second",
                      &guest.rates.deflate),
           SwitchOption("reporting", "Guests report free pages to the host",
                        &guest.reports_free_pages),
           SwitchOption("no-deflate-on-oom",
                        "Guests kill rather than take from the balloon",
                        &flags->keeps_balloon_on_oom),
           AmountOption("swap", "The host has so much swap",
                        &flags->run.world.host.swap),
           SwitchOption("fine", "Steps of 50 ms instead of 100 ms",
                        &flags->has_fine_steps),
           DurationOption("poll-interval", "As of vmsilo-balloond",
                          &settings.poll_interval),
           DurationOption("min-poll-interval", "As of vmsilo-balloond",
                          &settings.min_poll_interval),
           DurationOption("calm-interval", "As of vmsilo-balloond",
                          &settings.calm_interval),
           PercentOption("psi-ceiling", "As of vmsilo-balloond",
                         &settings.psi_ceiling),
           PercentOption("critical-host-percent", "As of vmsilo-balloond",
                         &settings.critical_host_percent),
           ByteOption("critical-guest-available", "As of vmsilo-balloond",
                      &settings.critical_guest_available),
           ByteOption("guest-available-bias", "As of vmsilo-balloond",
                      &settings.guest_available_bias)},
      .main = {.run =
                   [flags](const Operands& /*operands*/) {
                     return RunAll(*flags);
                   }},
  };
}

}  // namespace vmsilo::balloond::sim
