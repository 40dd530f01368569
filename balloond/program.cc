#include "balloond/program.h"

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloond/settings.h"
#include "common/exit_codes.h"
#include "common/options.h"
#include "common/parse_number.h"
#include "common/parse_size.h"
#include "common/socket.h"
#include "common/status_macros.h"
#include "config/config.h"

namespace vmsilo::balloond {
namespace {

// A guest that keeps more is none that anything can be borrowed from.
constexpr Bytes kMostGuestMemory = GiB(16 << 10);

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

absl::Status CheckInterval(absl::string_view option, absl::Duration value,
                           absl::Duration min) {
  const absl::Duration max = absl::Milliseconds(config::kMostPollMilliseconds);
  if (value >= min && value <= max) return absl::OkStatus();
  return Usage(absl::StrCat("--", option, ": ", absl::FormatDuration(value),
                            " is not between ", absl::FormatDuration(min),
                            " and ", absl::FormatDuration(max)));
}

absl::Status CheckSize(absl::string_view option, Bytes value) {
  if (value <= kMostGuestMemory) return absl::OkStatus();
  return Usage(absl::StrCat("--", option, ": ", FormatSize(value),
                            " is more than ", FormatSize(kMostGuestMemory)));
}

absl::Status CheckPath(absl::string_view option, const std::string& path) {
  if (absl::StartsWith(path, "/") && path.find('\0') == std::string::npos) {
    return absl::OkStatus();
  }
  return Usage(absl::StrCat("--", option, ": expected an absolute path"));
}

}  // namespace

absl::StatusOr<Settings> Check(const Options& options) {
  const absl::Duration least =
      absl::Milliseconds(config::kLeastPollMilliseconds);
  VMSILO_RETURN_IF_ERROR(
      CheckInterval("poll-interval", options.poll_interval, least));
  VMSILO_RETURN_IF_ERROR(
      CheckInterval("calm-interval", options.calm_interval, least));
  VMSILO_RETURN_IF_ERROR(
      CheckInterval("min-poll-interval", options.min_poll_interval,
                    absl::Milliseconds(config::kLeastMinPollMilliseconds)));
  if (options.min_poll_interval > options.poll_interval) {
    return Usage(absl::StrCat("--min-poll-interval: ",
                              absl::FormatDuration(options.min_poll_interval),
                              " is more than --poll-interval, ",
                              absl::FormatDuration(options.poll_interval)));
  }
  VMSILO_RETURN_IF_ERROR(
      CheckSize("critical-guest-available", options.critical_guest_available));
  VMSILO_RETURN_IF_ERROR(
      CheckSize("guest-available-bias", options.guest_available_bias));
  VMSILO_RETURN_IF_ERROR(CheckPath("run-dir", options.run_dir));
  if (const absl::Status socket =
          CheckSocketPath(ControlSocketPath(options.run_dir));
      !socket.ok()) {
    return Usage(absl::StrCat("--run-dir: ", socket.message()));
  }
  if (!options.metrics_file.empty()) {
    VMSILO_RETURN_IF_ERROR(CheckPath("metrics-file", options.metrics_file));
  }
  const auto bytes = [](Bytes size) {
    return static_cast<int64_t>(size.count());
  };
  return Settings{
      .poll_interval = options.poll_interval,
      .min_poll_interval = options.min_poll_interval,
      .calm_interval = std::max(options.calm_interval, options.poll_interval),
      .psi_ceiling = options.psi_ceiling,
      .critical_host_percent = options.critical_host_percent,
      .critical_guest_available = bytes(options.critical_guest_available),
      .guest_available_bias = bytes(options.guest_available_bias)};
}

std::string StateDir(const std::string& run_dir) {
  return absl::StrCat(run_dir, "/.balloond");
}

std::string ControlSocketPath(const std::string& run_dir) {
  return absl::StrCat(StateDir(run_dir), "/control.socket");
}

Program MakeProgram(Options* options,
                    std::function<absl::Status(const Options&)> run) {
  Option owner = {
      .name = "owner",
      .argument = "UID",
      .help =
          "Give the control socket to this user: besides root, the one who "
          "may ask and wish",
      .apply = [options](absl::string_view text) {
        absl::StatusOr<uid_t> uid =
            ParseNumber<uid_t>(text, 0, std::numeric_limits<uid_t>::max() - 1);
        if (uid.ok()) options->owner = *uid;
        return uid.status();
      }};
  return {
      .name = "vmsilo-balloond",
      .man_section = 8,
      .summary = "Share the host's memory among silos",
      .description =
          "Moves memory between the host and its virtual machines by their "
          "balloons: what one guest does not need another one, or the host, "
          "can use. It looks at the host's memory and memory pressure, asks "
          "each guest's balloon driver how the guest is, and asks hypervisors "
          "for larger or smaller balloons.\n\n"
          "Guests are found by the sockets of their hypervisors (QEMU, crosvm, "
          "Cloud Hypervisor) below the run directory, as they come and go. "
          "What `vmsilo-unitgen` has written there about a silo says how much "
          "of its memory is guaranteed to it, and whether it is to be left "
          "alone: so it is with passed-through devices and huge pages. A guest "
          "that nothing was written about takes part, too.\n\n"
          "It keeps nothing that a successor would need: it starts from the "
          "balloons as they are, and when it ends they stay as they are. "
          "`vmsilo balloon` shows what it sees and does.",
      .options =
          {
              ChoiceOption("policy", "POLICY",
                           "How memory is shared: 'level' keeps the same "
                           "distance to need for all, 'committed' lends only "
                           "what the host has; 'committed' if not given",
                           {"level", "committed"}, &options->policy),
              DurationOption("poll-interval",
                             "Look this often while memory moves, from 100ms "
                             "to 1m; 2s if not given",
                             &options->poll_interval),
              DurationOption("calm-interval",
                             "Look this often while nothing moves and nobody "
                             "is short; 10s if not given",
                             &options->calm_interval),
              DurationOption("min-poll-interval",
                             "Never look more often, whatever happens, from "
                             "50ms on; 100ms if not given",
                             &options->min_poll_interval),
              RealOption("psi-ceiling", "PERCENT",
                         "The memory pressure ('some') at which it looks most "
                         "often; 0 ignores pressure; 50 if not given",
                         &options->psi_ceiling, 0, 100),
              RealOption("critical-host-percent", "PERCENT",
                         "The share of the host's memory that no guest gets, "
                         "from 1 to 50, and 128M at least; 2 if not given",
                         &options->critical_host_percent,
                         config::kLeastCriticalHostPercent,
                         config::kMostCriticalHostPercent),
              SizeOption("critical-guest-available",
                         "What each guest keeps available, or a quarter of its "
                         "memory if that is less; 400M if not given",
                         &options->critical_guest_available),
              SizeOption("guest-available-bias",
                         "What guests keep beyond that while the host has "
                         "enough, in proportion to their balloons; 300M if "
                         "not given",
                         &options->guest_available_bias),
              StringOption("run-dir", "DIR",
                           "Where the silos' directories are; /run/vmsilo if "
                           "not given",
                           &options->run_dir, Completion::kDirectory),
              std::move(owner),
              StringOption("metrics-file", "FILE",
                           "Write metrics to this file, every 10 seconds at "
                           "most, for node_exporter's textfile collector",
                           &options->metrics_file, Completion::kFile),
              SwitchOption("dry-run",
                           "Say what it would do, and ask no hypervisor for "
                           "anything but figures",
                           &options->dry_run),
              SwitchOption("once",
                           "Look at each guest twice, do what is to be done, "
                           "and end",
                           &options->once),
          },
      .main = {.run = [options, run = std::move(run)](
                          const Operands&) { return run(*options); }},
      .examples =
          {
              {"vmsilo-balloond --once --dry-run",
               "What would be done with the silos as they are now"},
              {"vmsilo-balloond --policy committed --critical-host-percent 10",
               "Never promise guests more than nine tenths of the memory"},
          },
      .man_sections =
          {
              {"SIGNALS",
               "SIGHUP: read again what is written about the silos. Changes "
               "are noticed without it as well.\n\n"
               "SIGTERM, SIGINT: end, and leave all balloons as they are."},
              {"FILES",
               "/run/vmsilo/NAME/balloon.json: what is written about the silo "
               "NAME. It counts only if it is root's, or the daemon's own "
               "user's, and nobody else can write it; one that does not count "
               "keeps the silo's memory out of everything.\n\n"
               "/run/vmsilo/.balloond/control.socket: where `vmsilo balloon` "
               "asks.\n\n"
               "/run/vmsilo/.balloond/wishes.json: the balloons that people "
               "have set, until the silo stops.\n\n"
               "/run/vmsilo/.balloond/lock: held while it runs; there is one "
               "daemon for a run directory."},
              {"EXIT STATUS",
               "0: ended by a signal, or done with --once.\n\n"
               "64: wrong usage.\n\n"
               "71: the system failed us.\n\n"
               "75: another one serves the run directory.\n\n"
               "77: a permission is missing."},
              {"SECURITY",
               "Guests are hostile: what they say of themselves decides over "
               "no more than their own memory. A guest that claims to be in "
               "need gets what it was started with, and no more; one that "
               "claims to have plenty harms itself.\n\n"
               "Before the first byte of a guest or a person, a system call "
               "filter is armed, capabilities are given up but the one that "
               "opens other users' sockets, and files but the run directory, "
               "/proc, control groups and the metrics are out of reach.\n\n"
               "What one silo gets depends on what others use, and so tells a "
               "little about them. A silo that must not know or tell is kept "
               "out: `balloon = false` in vmsilo.toml(5)."},
          },
      .see_also = {"vmsilo(1)", "vmsilo.toml(5)", "vmsilo-unitgen(1)"},
  };
}

}  // namespace vmsilo::balloond
