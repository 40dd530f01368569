#include "cli/logs_command.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/explain.h"
#include "cli/journal.h"
#include "cli/sd_bus_service_manager.h"
#include "cli/service_manager.h"
#include "cli/silos.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "config/layout.h"
#include "config/load.h"

namespace vmsilo::cli {
namespace {

// NotFound if systemd knows no silo of this name. Without systemd there still
// is a journal to read, of a machine's last boot perhaps.
absl::Status CheckSilo(const std::string& silo) {
  const absl::StatusOr<std::unique_ptr<ServiceManager>> manager =
      ConnectServiceManager();
  if (!manager.ok()) return absl::OkStatus();
  const absl::StatusOr<std::vector<std::string>> names =
      FindSilos(manager->get());
  if (!names.ok() ||
      std::find(names->begin(), names->end(), silo) != names->end()) {
    return absl::OkStatus();
  }
  return NoSuchSilo(silo, {.names = *names});
}

// Whether nobody is left at the other end of a pipe or socket.
bool IsReaderGone(int fd) {
  pollfd entry = {.fd = fd, .events = POLLOUT};
  return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace

absl::Status LogsCommand(const std::string& silo, const LogsFlags& flags) {
  if (const absl::Status name = CheckSiloName(silo); !name.ok()) {
    return WithExitCode(name, kExitUsage);
  }
  LogOptions options{.units = UnitsOfSilo(silo),
                     .templates = {layout::ProxyTemplate(silo)},
                     .lines = flags.lines,
                     .follow = flags.follow};
  // Shares have units of their own, whose names only the configuration knows.
  const config::LoadResult loaded = config::Load();
  const config::Vm* vm = loaded.ok() ? loaded.config->FindVm(silo) : nullptr;
  if (vm != nullptr) {
    for (const config::SharedDirectory& share : vm->shared_directories) {
      options.units.push_back(layout::VirtiofsdUnit(silo, share.tag));
    }
  }
  // What a silo that is gone has said may still be there, so a name that
  // nobody knows is a mistake only when nothing was said under it.
  const auto check_known = [&silo, vm] {
    return vm != nullptr ? absl::OkStatus() : CheckSilo(silo);
  };
  if (flags.follow) VMSILO_RETURN_IF_ERROR(check_known());
  const char* no_color = getenv("NO_COLOR");
  const bool use_colour =
      isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == 0);
  const absl::TimeZone zone = absl::LocalTimeZone();
  bool has_printed = false;
  absl::Status status = ReadJournal(options, [&](const LogEntry& entry) {
    has_printed = true;
    return WriteAll(STDOUT_FILENO, FormatLogEntry(entry, zone, use_colour));
  });
  if (absl::IsPermissionDenied(status) ||
      (status.ok() && !has_printed && flags.lines != 0)) {
    VMSILO_RETURN_IF_ERROR(check_known());
  }
  // `vmsilo logs work | head` has what it wanted.
  if (!status.ok() && IsReaderGone(STDOUT_FILENO)) return absl::OkStatus();
  if (status.ok() && !has_printed && flags.lines != 0) {
    LOG(INFO) << "silo " << Quoted(silo) << " has logged nothing yet";
  }
  return status;
}

}  // namespace vmsilo::cli
