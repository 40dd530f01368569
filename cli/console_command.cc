#include "cli/console_command.h"

#include <unistd.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/console_log.h"
#include "cli/console_session.h"
#include "cli/explain.h"
#include "cli/sd_bus_service_manager.h"
#include "cli/service_manager.h"
#include "cli/silos.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/sd_event_loop.h"
#include "common/status_macros.h"
#include "config/config.h"
#include "config/layout.h"
#include "config/load.h"

namespace vmsilo::cli {
namespace {

// A silo that does not exist would be waited for.
absl::Status CheckExists(const std::string& silo) {
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<ServiceManager> manager,
                          ConnectServiceManager());
  VMSILO_ASSIGN_OR_RETURN(const UnitState vm,
                          manager->GetUnit(layout::VmUnit(silo)));
  return vm.load_state == "not-found"
             ? NoSuchSilo(silo, FindInstalled(manager.get()))
             : absl::OkStatus();
}

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

absl::Status CheckFlags(const ConsoleFlags& flags) {
  if (flags.follow && !flags.log) {
    return Usage("--follow goes with --log; a console goes on anyway");
  }
  if (flags.log && (flags.take_over || !flags.socket.empty())) {
    return Usage("--log only shows a file: no --take-over, no --socket");
  }
  return absl::OkStatus();
}

// Why there is no log, and what to do.
absl::Status ExplainNoLog(const std::string& silo) {
  const config::LoadResult loaded = config::Load();
  const config::Vm* vm = loaded.ok() ? loaded.config->FindVm(silo) : nullptr;
  if (vm == nullptr) VMSILO_RETURN_IF_ERROR(CheckExists(silo));
  const std::string no_log =
      absl::StrCat("the console of silo ", Quoted(silo), " has no log");
  if (vm != nullptr && vm->console.log.has_value()) {
    return absl::NotFoundError(
        absl::StrCat(no_log,
                     " yet: it begins when the silo is started with units that "
                     "'vmsilo-unitgen install' has written"));
  }
  return absl::NotFoundError(absl::StrCat(
      no_log, "; to have one, set vms.", silo, ".console.log = true in ",
      layout::kConfigFile, " and run 'vmsilo-unitgen install' as root"));
}

absl::Status ShowLog(const std::string& silo, const ConsoleFlags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<SdEventLoop> loop,
                          SdEventLoop::Create());
  absl::Status status = ShowConsoleLog({.path = layout::ConsoleLog(silo),
                                        .filter = !flags.raw,
                                        .follow = flags.follow},
                                       loop.get(), STDOUT_FILENO);
  if (absl::IsNotFound(status)) return ExplainNoLog(silo);
  if (absl::IsPermissionDenied(status)) {
    return absl::PermissionDeniedError(
        absl::StrCat("the log of the console of silo ", Quoted(silo),
                     " is for the desktop user and root only"));
  }
  return status;
}

}  // namespace

absl::Status ConsoleCommand(const std::string& silo,
                            const ConsoleFlags& flags) {
  if (const absl::Status name = CheckSiloName(silo); !name.ok()) {
    return WithExitCode(name, kExitUsage);
  }
  VMSILO_RETURN_IF_ERROR(CheckFlags(flags));
  if (flags.log) return ShowLog(silo, flags);
  if (flags.socket.empty()) VMSILO_RETURN_IF_ERROR(CheckExists(silo));
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<SdEventLoop> loop,
                          SdEventLoop::Create());
  ConsoleSession session(
      loop.get(), Stdio(),
      {.silo = silo,
       .socket = flags.socket.empty() ? layout::ConsoleViewersSocket(silo)
                                      : flags.socket,
       .read_only = flags.read_only,
       .takes_over = flags.take_over,
       .filter = !flags.raw,
       .escape = flags.escape});
  return session.Run();
}

}  // namespace vmsilo::cli
