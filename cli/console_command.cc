#include "cli/console_command.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/console_session.h"
#include "cli/explain.h"
#include "cli/sd_bus_service_manager.h"
#include "cli/service_manager.h"
#include "cli/silos.h"
#include "common/sd_event_loop.h"
#include "common/status_macros.h"
#include "config/layout.h"

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

}  // namespace

absl::Status ConsoleCommand(const std::string& silo,
                            const ConsoleFlags& flags) {
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
       .filter = !flags.raw});
  return session.Run();
}

}  // namespace vmsilo::cli
