#include "balloond/sim/variations.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/run.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/table.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {
namespace {

Variation Lag(absl::Duration lag) {
  return {absl::StrCat("statistics ", absl::FormatDuration(lag), " late"),
          [lag](RunOptions* options) { options->lag = lag; }};
}

}  // namespace

std::vector<Variation> Variations() {
  return {
      {"as usual", [](RunOptions*) {}},
      {"steps of 50 ms", [](RunOptions*) {}, kFineStepUsec},
      {"guests report free pages",
       [](RunOptions* options) {
         options->world.guest.reports_free_pages = true;
       }},
      {"inflation at 200 MiB/s",
       [](RunOptions* options) { options->world.guest.rates.inflate = 200; }},
      {"inflation at 2000 MiB/s",
       [](RunOptions* options) { options->world.guest.rates.inflate = 2000; }},
      {"deflation at 500 MiB/s",
       [](RunOptions* options) { options->world.guest.rates.deflate = 500; }},
      {"4 GiB of swap",
       [](RunOptions* options) { options->world.host.swap = 4096; }},
      {"no deflation on OOM",
       [](RunOptions* options) {
         options->world.guest.deflates_on_oom = false;
       }},
      Lag(absl::Milliseconds(500)),
      Lag(absl::Seconds(1)),
      Lag(absl::Seconds(2)),
      {"statistics renewed every second",
       [](RunOptions* options) { options->renewal = absl::Seconds(1); }},
  };
}

Table VariationTable(const std::vector<Trace>& traces,
                     const std::vector<Policy>& policies,
                     const RunOptions& options) {
  std::vector<std::string> headings = {"variation"};
  for (const Policy& policy : policies) headings.push_back(policy.name);
  Table table(headings);
  for (const Variation& variation : Variations()) {
    const std::vector<Workload> workloads =
        Workloads(traces, variation.step_usec);
    RunOptions varied = options;
    variation.apply(&varied);
    std::vector<std::string> cells = {variation.name};
    for (const Policy& policy : policies) {
      std::vector<Score> scores;
      for (const Workload& workload : workloads) {
        scores.push_back(Measure(workload, policy, varied));
      }
      const Summary summary = Summarise(scores);
      cells.push_back(absl::StrFormat("%.3f / %.2f", summary.geometric_mean,
                                      summary.worst));
    }
    table.AddRow(std::move(cells));
  }
  return table;
}

}  // namespace vmsilo::balloond::sim
