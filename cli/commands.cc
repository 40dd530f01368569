#include "cli/commands.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "cli/balloon_query.h"
#include "cli/console_query.h"
#include "cli/explain.h"
#include "cli/progress_line.h"
#include "cli/sd_bus_service_manager.h"
#include "cli/service_manager.h"
#include "cli/silo_table.h"
#include "cli/silos.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/sd_event_loop.h"
#include "common/status_macros.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/layout.h"
#include "config/load.h"
#include "console/message.h"
#include "hypervisor/client.h"
#include "hypervisor/make_client.h"

namespace vmsilo::cli {
namespace {

// A hypervisor or a relay that is well answers within milliseconds.
constexpr absl::Duration kPeerDeadline = absl::Seconds(2);

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

// The configuration, for what it adds to systemd's view: a list works without.
std::optional<config::Config> TryLoadConfig(const std::string& file) {
  config::LoadOptions options;
  if (!file.empty()) options.file = file;
  config::LoadResult result = config::Load(options);
  if (result.ok()) return std::move(result.config);
  for (const config::Diagnostic& diagnostic : result.diagnostics) {
    if (diagnostic.severity != config::Severity::kError) continue;
    LOG(WARNING) << config::ToString(diagnostic)
                 << "; showing what systemd knows ('vmsilo check' lists all "
                    "errors)";
    break;
  }
  return std::nullopt;
}

// The silos that have units, and those of the configuration that have none.
absl::StatusOr<std::vector<Silo>> CollectSilos(ServiceManager* manager,
                                               const config::Config* config) {
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> installed,
                          FindSilos(manager));
  std::set<std::string> names(installed.begin(), installed.end());
  if (config != nullptr) {
    for (const config::Vm& vm : config->vms) names.insert(vm.name);
  }
  std::vector<std::string> units;
  for (const std::string& name : names) units.push_back(layout::VmUnit(name));
  std::vector<UnitState> states;
  if (!units.empty()) {
    VMSILO_ASSIGN_OR_RETURN(states, manager->GetUnits(units));
  }
  std::vector<Silo> silos;
  for (const std::string& name : names) {
    Silo silo{.name = name, .vm_unit = std::move(states[silos.size()])};
    const config::Vm* vm = config == nullptr ? nullptr : config->FindVm(name);
    if (vm != nullptr) silo.configured = *vm;
    silos.push_back(std::move(silo));
  }
  return silos;
}

absl::StatusOr<std::vector<Silo>> Choose(
    std::vector<Silo> silos, const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const Silo& silo : silos) known.push_back(silo.name);
  std::vector<Silo> chosen;
  for (const std::string& name : names) {
    const auto it = std::find(known.begin(), known.end(), name);
    if (it == known.end()) return NoSuchSilo(name, {known});
    chosen.push_back(silos[static_cast<size_t>(it - known.begin())]);
  }
  return chosen;
}

absl::Status AddDetails(ServiceManager* manager, Silo* silo) {
  VMSILO_ASSIGN_OR_RETURN(silo->vm_unit, manager->GetUnit(silo->vm_unit.name));
  std::vector<std::string> units = UnitsOfSilo(silo->name);
  units.erase(units.begin());  // the VM's own
  if (silo->configured) {
    for (const config::SharedDirectory& share :
         silo->configured->shared_directories) {
      units.push_back(layout::VirtiofsdUnit(silo->name, share.tag));
    }
  }
  VMSILO_ASSIGN_OR_RETURN(silo->other_units, manager->GetUnits(units));
  std::string instances = layout::ProxyTemplate(silo->name);
  instances.insert(instances.find('@') + 1, "?*");
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> proxies,
                          manager->FindUnits({instances}));
  silo->connections = proxies.size();
  return absl::OkStatus();
}

// Whether the silo's console has a relay: its unit is there, whatever the
// configuration says by now.
bool HasConsoleRelay(const Silo& silo) {
  const std::string relay = layout::ConsoleRelayUnit(silo.name);
  return std::any_of(silo.other_units.begin(), silo.other_units.end(),
                     [&relay](const UnitState& unit) {
                       return unit.name == relay &&
                              unit.load_state != "not-found";
                     });
}

// Without the daemon, or the right to ask it, there is nothing to say.
void AddBalloons(const absl::StatusOr<balloon::Answer>& answer,
                 std::vector<Silo>* silos) {
  if (!answer.ok()) {
    if (!absl::IsUnavailable(answer.status()) &&
        !absl::IsPermissionDenied(answer.status())) {
      LOG(WARNING) << "the memory daemon: " << answer.status().message();
    }
    return;
  }
  const auto* status = std::get_if<balloon::Status>(&*answer);
  if (status == nullptr) return;
  for (Silo& silo : *silos) {
    for (const balloon::Status::Vm& vm : status->vms) {
      if (vm.name == silo.name) silo.balloon = vm;
    }
  }
}

// Asks hypervisors, consoles and the memory daemon, all at once. Hypervisors'
// sockets are root's and their own user's: for others that part is left out.
absl::Status AskSilos(std::vector<Silo>* silos) {
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<SdEventLoop> loop,
                          SdEventLoop::Create());
  std::vector<std::unique_ptr<hypervisor::Client>> clients;
  std::vector<std::unique_ptr<ConsoleQuery>> queries;
  size_t outstanding = 1;
  BalloonQuery balloons(
      loop.get(),
      [silos, &outstanding](const absl::StatusOr<balloon::Answer>& answer) {
        --outstanding;
        AddBalloons(answer, silos);
      });
  VMSILO_RETURN_IF_ERROR(
      balloons.Start(std::string(layout::kBalloondControlSocket),
                     balloon::StatusRequest(), kPeerDeadline));
  for (Silo& silo : *silos) {
    if (HasConsoleRelay(silo)) {
      ++outstanding;
      queries.push_back(std::make_unique<ConsoleQuery>(
          loop.get(),
          [&silo, &outstanding](absl::StatusOr<console::Status> status) {
            --outstanding;
            silo.console = std::move(status);
          }));
      VMSILO_RETURN_IF_ERROR(queries.back()->Start(
          layout::ConsoleViewersSocket(silo.name), kPeerDeadline));
    }
    if (!silo.configured || StateOf(silo.vm_unit) != SiloState::kRunning) {
      continue;
    }
    const config::Hypervisor kind = silo.configured->hypervisor;
    std::optional<pid_t> pid;
    if (silo.vm_unit.main_pid) pid = *silo.vm_unit.main_pid;
    clients.push_back(hypervisor::MakeClient(
        loop.get(), kind, layout::ControlSocket(silo.name, kind), pid));
    ++outstanding;
    clients.back()->QueryStatus(
        kPeerDeadline,
        [&silo, &outstanding](absl::StatusOr<hypervisor::VmStatus> status) {
          --outstanding;
          if (status.ok()) {
            silo.vm = *std::move(status);
          } else if (status.status().code() !=
                     absl::StatusCode::kPermissionDenied) {
            LOG(WARNING) << "silo " << Quoted(silo.name)
                         << ": its hypervisor: " << status.status().message();
          }
        });
  }
  while (outstanding > 0) {
    VMSILO_RETURN_IF_ERROR(loop->RunOnce(absl::InfiniteDuration()));
  }
  return absl::OkStatus();
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
      status = NoSuchSilo(silos[i], FindInstalled(manager.get()));
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

absl::Status ListCommand(const ListFlags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<ServiceManager> manager,
                          ConnectServiceManager());
  if (flags.names) {
    // For a shell that completes a word: quick, and without other words.
    VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            FindSilos(manager.get()));
    std::string text;
    for (const std::string& name : names) absl::StrAppend(&text, name, "\n");
    return WriteAll(STDOUT_FILENO, text);
  }
  const std::optional<config::Config> config = TryLoadConfig(flags.config);
  VMSILO_ASSIGN_OR_RETURN(
      const std::vector<Silo> silos,
      CollectSilos(manager.get(), config ? &*config : nullptr));
  if (flags.json) return WriteAll(STDOUT_FILENO, ListJson(silos));
  if (silos.empty()) {
    LOG(INFO) << "there are no silos; describe one in " << layout::kConfigFile
              << " and run 'vmsilo-unitgen install' as root";
    return absl::OkStatus();
  }
  return WriteAll(STDOUT_FILENO, ListText(silos, StdoutColours()));
}

absl::Status StatusCommand(const std::vector<std::string>& names,
                           const ListFlags& flags) {
  for (const std::string& name : names) {
    if (const absl::Status status = CheckSiloName(name); !status.ok()) {
      return WithExitCode(status, kExitUsage);
    }
  }
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<ServiceManager> manager,
                          ConnectServiceManager());
  const std::optional<config::Config> config = TryLoadConfig(flags.config);
  VMSILO_ASSIGN_OR_RETURN(
      std::vector<Silo> silos,
      CollectSilos(manager.get(), config ? &*config : nullptr));
  if (!names.empty()) {
    VMSILO_ASSIGN_OR_RETURN(silos, Choose(std::move(silos), names));
  }
  for (Silo& silo : silos) {
    VMSILO_RETURN_IF_ERROR(AddDetails(manager.get(), &silo));
  }
  VMSILO_RETURN_IF_ERROR(AskSilos(&silos));
  return WriteAll(STDOUT_FILENO, flags.json ? ListJson(silos)
                                            : StatusText(silos, absl::Now(),
                                                         absl::LocalTimeZone(),
                                                         StdoutColours()));
}

absl::Status CheckCommand(const std::string& config) {
  std::vector<std::string> arguments = {"vmsilo-unitgen", "check"};
  if (!config.empty()) {
    arguments.push_back("--config");
    arguments.push_back(config);
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  // Its checks are vmsilo-unitgen's business: what it would write, and what of
  // the machine that needs. The one that was installed with us comes first.
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    execv((self.parent_path() / "vmsilo-unitgen").c_str(), argv.data());
  }
  execvp("vmsilo-unitgen", argv.data());
  LOG(WARNING) << "vmsilo-unitgen is not installed, checking the "
                  "configuration's words only";
  config::LoadOptions options;
  if (!config.empty()) options.file = config;
  const config::LoadResult result = config::Load(options);
  std::string text;
  for (const config::Diagnostic& diagnostic : result.diagnostics) {
    absl::StrAppend(&text, config::ToString(diagnostic), "\n");
  }
  VMSILO_RETURN_IF_ERROR(WriteAll(STDOUT_FILENO, text));
  if (result.ok()) return absl::OkStatus();
  return WithExitCode(
      absl::InvalidArgumentError("the configuration has errors"), kExitConfig);
}

}  // namespace vmsilo::cli
