#include "cli/commands.h"

#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/explain.h"
#include "cli/progress_line.h"
#include "cli/sd_bus_service_manager.h"
#include "cli/service_manager.h"
#include "cli/silo_table.h"
#include "cli/silos.h"
#include "common/clock.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "config/layout.h"

namespace vmsilo::cli {
namespace {

absl::string_view Progressive(Verb verb) {
  switch (verb) {
    case Verb::kStart:
      return "starting";
    case Verb::kStop:
      return "stopping";
    case Verb::kRestart:
      return "restarting";
  }
  return "starting";
}

Colours StdoutColours() {
  const char* no_color = getenv("NO_COLOR");
  if (isatty(STDOUT_FILENO) != 1 || (no_color != nullptr && *no_color != 0)) {
    return Colours::kNone;
  }
  const char* term = getenv("TERM");
  if (term == nullptr || absl::string_view(term) == "dumb") {
    return Colours::kNone;
  }
  const char* colorterm = getenv("COLORTERM");
  const absl::string_view depth = colorterm == nullptr ? "" : colorterm;
  return depth == "truecolor" || depth == "24bit" ? Colours::kTrueColour
                                                  : Colours::k256;
}

}  // namespace

absl::Status ControlCommand(Verb verb, const std::vector<std::string>& silos) {
  std::vector<std::string> units;
  for (const std::string& silo : silos) {
    if (const absl::Status name = CheckSiloName(silo); !name.ok()) {
      return WithExitCode(name, kExitUsage);
    }
    units.push_back(layout::VmUnit(silo));
  }
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<ServiceManager> manager,
                          ConnectServiceManager());
  const MonotonicClock clock;
  const absl::Time begun = clock.Now();
  ProgressLine progress(STDERR_FILENO, /*is_wanted=*/true);
  VMSILO_ASSIGN_OR_RETURN(
      const std::vector<JobOutcome> outcomes,
      manager->RunJobs(verb, units, [&] {
        progress.Show(absl::StrCat(
            absl::StrJoin(silos, ", "), silos.size() == 1 ? " is " : " are ",
            Progressive(verb), " ... ",
            absl::ToInt64Seconds(clock.Now() - begun), " s"));
      }));
  progress.Clear();

  absl::Status first;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    absl::Status status;
    if (outcomes[i].accepted.code() == absl::StatusCode::kNotFound) {
      status = NoSuchSilo(silos[i], SiloNames(manager.get()));
    } else {
      std::optional<UnitState> unit;
      if (outcomes[i].result != "done") {
        absl::StatusOr<UnitState> state = manager->GetUnit(units[i]);
        if (state.ok()) unit = *std::move(state);
      }
      status = ExplainJob(silos[i], verb, outcomes[i], unit);
    }
    if (status.ok()) continue;
    // Main() prints the last one.
    if (!first.ok()) LOG(ERROR) << first.message();
    first = status;
  }
  return first;
}

absl::Status ListCommand(const ListFlags& /*flags*/) {
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<ServiceManager> manager,
                          ConnectServiceManager());
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          FindSilos(manager.get()));
  std::vector<std::string> units;
  for (const std::string& name : names) units.push_back(layout::VmUnit(name));
  std::vector<UnitState> states;
  if (!units.empty()) {
    VMSILO_ASSIGN_OR_RETURN(states, manager->GetUnits(units));
  }
  std::vector<Silo> silos;
  for (size_t i = 0; i < states.size(); ++i) {
    silos.push_back(Silo{.name = names[i], .vm_unit = std::move(states[i])});
  }
  return WriteAll(STDOUT_FILENO, ListText(silos, StdoutColours()));
}

}  // namespace vmsilo::cli
