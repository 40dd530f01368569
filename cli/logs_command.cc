#include "cli/logs_command.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/journal.h"
#include "cli/silos.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "config/layout.h"
#include "config/load.h"

namespace vmsilo::cli {

absl::Status LogsCommand(const std::string& silo, const LogsFlags& flags) {
  if (const absl::Status name = CheckSiloName(silo); !name.ok()) {
    return WithExitCode(name, kExitUsage);
  }
  LogOptions options{.units = UnitsOfSilo(silo),
                     .slices = {SliceOfTemplate(layout::ProxyTemplate(silo))},
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
  const char* no_color = getenv("NO_COLOR");
  const bool use_colour =
      isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == 0);
  const absl::TimeZone zone = absl::LocalTimeZone();
  absl::Status status = ReadJournal(options, [&](const LogEntry& entry) {
    return WriteAll(STDOUT_FILENO, FormatLogEntry(entry, zone, use_colour));
  });
  // `vmsilo logs work | head` has what it wanted.
  if (status.code() == absl::ErrnoToStatusCode(EPIPE)) return absl::OkStatus();
  return status;
}

}  // namespace vmsilo::cli
