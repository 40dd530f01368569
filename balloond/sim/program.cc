#include "balloond/sim/program.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "balloond/settings.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/world.h"
#include "common/bytes.h"
#include "common/decimal.h"
#include "common/options.h"
#include "common/parse_number.h"
#include "common/parse_size.h"

namespace vmsilo::balloond::sim {
namespace {

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

}  // namespace

Program MakeProgram(Flags* flags,
                    const std::function<absl::Status(const Flags&)>& run) {
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
                        "that make the score, desk the random ones of them, "
                        "fixed those with a host of a fixed size, streams "
                        "those that make balloons swing",
                        &flags->scenarios),
           StringOption("seeds", "FIRST-LAST",
                        "The random desks; those above 10 need --final",
                        &flags->seeds),
           ListOption("trace", "FILE",
                      "A workload from a file, instead of --scenario",
                      &flags->traces, Completion::kFile),
           SwitchOption("final", "Open the sealed desks", &flags->is_final),
           SwitchOption("details", "A line for each policy and workload, too",
                        &flags->has_details),
           SwitchOption("variations",
                        "Scores with other guests, hosts and hypervisors, too",
                        &flags->has_variations),
           AmountOption("memory",
                        "Run once with this host instead of looking for the "
                        "least",
                        &flags->memory),
           StringOption("samples", "FILE",
                        "With --memory: write every step there, as "
                        "comma-separated values",
                        &flags->samples, Completion::kFile),
           StringOption("plot", "FILE",
                        "With --memory: draw one scenario under the policies "
                        "(SVG)",
                        &flags->plot, Completion::kFile),
           StringOption("document", "FILE",
                        "Write what is measured into this document, and a "
                        "drawing beside it",
                        &flags->document, Completion::kFile),
           StringOption("print-trace", "SCENARIO",
                        "Print a scenario as a file for --trace, and nothing "
                        "else",
                        &flags->printed_trace),
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
                   [flags, run](const Operands& /*operands*/) {
                     return run(*flags);
                   }},
  };
}

}  // namespace vmsilo::balloond::sim
