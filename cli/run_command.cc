#include "cli/run_command.h"

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/explain.h"
#include "cli/run_session.h"
#include "cli/sd_bus_service_manager.h"
#include "cli/service_manager.h"
#include "cli/silos.h"
#include "cli/terminal.h"
#include "command/client.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "config/layout.h"

namespace vmsilo::cli {
namespace {

// As env(1), timeout(1), ssh and docker have it: 125 is ours, so that it is
// not taken for the command's.
constexpr int kOwnFailure = 125;

// A silo that runs answers at once.
constexpr absl::Duration kNoWaitTimeout = absl::Seconds(5);

// The exit code of a command, without a word from us.
absl::Status ExitWith(int code) {
  if (code == 0) return absl::OkStatus();
  return WithExitCode(absl::CancelledError(""), code);
}

absl::Status Ours(absl::Status status) {
  return WithExitCode(std::move(status), kOwnFailure);
}

std::optional<UnitState> AskFor(ServiceManager* manager,
                                absl::string_view unit) {
  if (manager == nullptr) return std::nullopt;
  absl::StatusOr<UnitState> state = manager->GetUnit(unit);
  if (!state.ok()) return std::nullopt;
  return *std::move(state);
}

// Only for explanations, which do without it if need be.
std::unique_ptr<ServiceManager> TryConnectServiceManager() {
  absl::StatusOr<std::unique_ptr<ServiceManager>> manager =
      ConnectServiceManager();
  return manager.ok() ? *std::move(manager) : nullptr;
}

command::Start MakeStart(const std::vector<std::string>& arguments,
                         const RunFlags& flags) {
  command::Start start;
  start.detach = flags.detach;
  start.directory = flags.directory;
  start.arguments = arguments;
  start.tty =
      !flags.detach && !flags.no_tty &&
      (flags.tty || (isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1));
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view variable = *entry;
    if (!command::MayPassOn(variable)) continue;
    // They describe a terminal, which the command does not get.
    if (!start.tty && (absl::StartsWith(variable, "TERM=") ||
                       absl::StartsWith(variable, "COLORTERM="))) {
      continue;
    }
    start.environment.emplace_back(variable);
  }
  if (start.tty) {
    if (const auto size = TerminalSize(STDIN_FILENO)) start.window_size = *size;
  }
  return start;
}

// With --no-wait: refuses a silo that would have to be booted.
absl::Status CheckRuns(const std::string& silo) {
  absl::StatusOr<std::unique_ptr<ServiceManager>> manager =
      ConnectServiceManager();
  if (!manager.ok()) return manager.status();
  const absl::StatusOr<UnitState> vm =
      (*manager)->GetUnit(layout::VmUnit(silo));
  if (!vm.ok()) return vm.status();
  if (vm->load_state == "not-found") {
    return NoSuchSilo(silo, FindInstalled(manager->get()));
  }
  if (StateOf(*vm) == SiloState::kRunning) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("silo ", Quoted(silo), " is ", ToString(StateOf(*vm)),
                   "; without --no-wait it would be started"));
}

absl::StatusOr<UniqueFd> Connect(const std::string& silo,
                                 const RunFlags& flags) {
  const std::string path =
      flags.socket.empty() ? layout::CommandSocket(silo) : flags.socket;
  absl::StatusOr<UniqueFd> connection = ConnectUnix(path);
  if (connection.ok() || !flags.socket.empty()) return connection;
  const std::unique_ptr<ServiceManager> manager = TryConnectServiceManager();
  return ExplainConnect(silo, connection.status(),
                        AskFor(manager.get(), layout::SocketUnit(silo)),
                        FindInstalled(manager.get()));
}

absl::Status Explain(const std::string& silo, const std::string& command,
                     const RunEnd& end, const RunFlags& flags) {
  const absl::Status named =
      Annotate(end.status, absl::StrCat("silo ", Quoted(silo)));
  if (end.outcome && !std::holds_alternative<command::Error>(*end.outcome)) {
    if (!named.ok()) return Ours(named);
    return ExitWith(command::ExitStatus(*end.outcome));
  }
  if (end.signal) return ExitWith(128 + *end.signal);
  const auto ask_for_vm = [&]() -> std::optional<UnitState> {
    if (!flags.socket.empty()) return std::nullopt;
    const std::unique_ptr<ServiceManager> manager = TryConnectServiceManager();
    return AskFor(manager.get(), layout::VmUnit(silo));
  };
  if (end.outcome) {
    const auto& error = std::get<command::Error>(*end.outcome);
    const bool is_unreachable =
        error.code == static_cast<uint16_t>(command::ErrorCode::kVmUnreachable);
    return WithExitCode(
        ExplainError(silo, command, error,
                     is_unreachable ? ask_for_vm() : std::nullopt),
        command::ExitStatus(*end.outcome));
  }
  if (end.has_hello || !flags.socket.empty()) {
    return Ours(named);
  }
  return Ours(ExplainSilence(silo, end.status, ask_for_vm()));
}

}  // namespace

absl::Status RunCommand(const std::string& silo,
                        const std::vector<std::string>& command,
                        const RunFlags& flags) {
  if (const absl::Status name = CheckSiloName(silo); !name.ok()) {
    return WithExitCode(name, kExitUsage);
  }
  if (!flags.has_separator) {
    return WithExitCode(
        absl::InvalidArgumentError(absl::StrCat(
            "put '--' before the command, so that its options are its own: "
            "vmsilo run ",
            silo, " -- ", command.front(), command.size() > 1 ? " ..." : "")),
        kExitUsage);
  }
  if (flags.detach && flags.tty) {
    return WithExitCode(
        absl::InvalidArgumentError(
            "--detach and --tty exclude each other: a detached command has no "
            "terminal"),
        kExitUsage);
  }
  RunOptions options{.silo = silo,
                     .start = MakeStart(command, flags),
                     .filter = !flags.raw,
                     .reads_stdin = !flags.no_stdin,
                     .shows_progress = !flags.quiet};
  if (const absl::Status valid = command::Validate(options.start);
      !valid.ok()) {
    return WithExitCode(valid, kExitUsage);
  }
  if (options.start.tty && isatty(STDIN_FILENO) != 1) {
    return WithExitCode(
        absl::InvalidArgumentError("--tty needs a terminal as standard input"),
        kExitUsage);
  }
  if (flags.timeout > absl::ZeroDuration()) options.timeout = flags.timeout;
  if (flags.no_wait) {
    if (flags.socket.empty()) {
      if (const absl::Status runs = CheckRuns(silo); !runs.ok()) {
        return Ours(runs);
      }
    }
    if (!options.timeout) options.timeout = kNoWaitTimeout;
  }

  absl::StatusOr<UniqueFd> connection = Connect(silo, flags);
  if (!connection.ok()) return Ours(connection.status());
  absl::StatusOr<std::unique_ptr<SdEventLoop>> loop = SdEventLoop::Create();
  if (!loop.ok()) return Ours(loop.status());
  const MonotonicClock clock;
  RunEnd end;
  {
    RunSession session(loop->get(), &clock, *std::move(connection), Stdio(),
                       std::move(options));
    end = session.Run();
  }
  return Explain(silo, command.front(), end, flags);
}

}  // namespace vmsilo::cli
