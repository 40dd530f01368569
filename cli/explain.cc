#include "cli/explain.h"

#include <string.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "cli/service_manager.h"
#include "command/frame.h"
#include "common/escape.h"
#include "config/diagnostics.h"
#include "config/layout.h"

namespace vmsilo::cli {
namespace {

using command::ErrorCode;

std::string Silo(absl::string_view silo) {
  return absl::StrCat("silo ", Quoted(silo));
}

std::string Logs(absl::string_view silo) {
  return absl::StrCat("'vmsilo logs ", silo, "' may say more");
}

// Why a unit that exists cannot be used at all, or "".
std::string LoadProblem(const UnitState& unit) {
  if (unit.load_state == "masked") {
    return absl::StrCat(unit.name, " is masked; 'systemctl unmask ", unit.name,
                        "' undoes that");
  }
  if (unit.load_state == "error" || unit.load_state == "bad-setting") {
    return absl::StrCat(
        "systemd cannot read ", unit.name,
        unit.load_error.empty() ? "" : absl::StrCat(" (", unit.load_error, ")"),
        "; 'vmsilo check' tests the configuration that it comes from");
  }
  return "";
}

absl::string_view Infinitive(Verb verb) {
  switch (verb) {
    case Verb::kStart:
      return "start";
    case Verb::kStop:
      return "stop";
    case Verb::kRestart:
      return "restart";
  }
  return "start";
}

}  // namespace

SiloState StateOf(const UnitState& vm_unit) {
  if (vm_unit.load_state != "loaded") return SiloState::kUnknown;
  const std::string& state = vm_unit.active_state;
  if (state == "active" || state == "reloading" || state == "refreshing") {
    return SiloState::kRunning;
  }
  if (state == "activating") return SiloState::kStarting;
  if (state == "deactivating") return SiloState::kStopping;
  if (state == "failed") return SiloState::kFailed;
  if (state == "inactive") return SiloState::kStopped;
  return SiloState::kUnknown;
}

absl::string_view ToString(SiloState state) {
  switch (state) {
    case SiloState::kRunning:
      return "running";
    case SiloState::kStarting:
      return "starting";
    case SiloState::kStopping:
      return "stopping";
    case SiloState::kStopped:
      return "stopped";
    case SiloState::kFailed:
      return "failed";
    case SiloState::kUnknown:
      break;
  }
  return "unknown";
}

std::string FailureOf(const UnitState& unit) {
  if (unit.result.empty() || unit.result == "success") return "";
  if (unit.result == "exit-code" && unit.exit_status) {
    return absl::StrCat("exited with status ", *unit.exit_status);
  }
  if ((unit.result == "signal" || unit.result == "core-dump") &&
      unit.exit_signal) {
    const char* name = sigabbrev_np(*unit.exit_signal);
    return absl::StrCat(
        "was killed by signal ", *unit.exit_signal,
        name == nullptr ? "" : absl::StrCat(" (SIG", name, ")"));
  }
  if (unit.result == "timeout") return "did not answer in time";
  if (unit.result == "watchdog") return "stopped answering";
  if (unit.result == "start-limit-hit") return "failed too often in a row";
  if (unit.result == "oom-kill") return "was killed for want of memory";
  if (unit.result == "resources")
    return "lacked something that systemd sets up";
  if (unit.result == "protocol") return "ended before it was ready";
  return absl::StrCat("failed: ", unit.result);
}

absl::Status NoSuchSilo(absl::string_view silo,
                        const InstalledSilos& installed) {
  const std::vector<std::string>& names = installed.names;
  const bool is_known =
      std::find(names.begin(), names.end(), silo) != names.end();
  if (installed.is_configuration_broken) {
    return absl::UnavailableError(absl::StrCat(
        Silo(silo), " cannot be used",
        is_known ? "" : ", if there is such a silo",
        ": the configuration has errors, so its units were not made; "
        "'vmsilo check' lists them, and 'systemctl daemon-reload' as root "
        "reads it again"));
  }
  if (is_known) {
    return absl::UnavailableError(absl::StrCat(
        Silo(silo),
        " has lost its units: it still runs or has a part of them, but the "
        "rest is not installed; 'vmsilo check' tests the configuration, "
        "'vmsilo-unitgen install' as root installs them"));
  }
  std::string next = "'vmsilo list' shows those that exist";
  if (names.empty()) {
    next =
        absl::StrCat("none is installed; describe it in ", layout::kConfigFile,
                     " and run 'vmsilo-unitgen install'");
  } else {
    const absl::string_view nearest = config::Nearest(
        silo, std::vector<absl::string_view>(names.begin(), names.end()));
    if (!nearest.empty()) next = absl::StrCat("did you mean '", nearest, "'?");
  }
  return absl::NotFoundError(absl::StrCat("no ", Silo(silo), "; ", next));
}

absl::Status ExplainJob(absl::string_view silo, Verb verb,
                        const JobOutcome& outcome,
                        const std::optional<UnitState>& unit) {
  const std::string what =
      absl::StrCat("cannot ", Infinitive(verb), " ", Silo(silo), ": ");
  if (!outcome.accepted.ok()) {
    const absl::StatusCode code = outcome.accepted.code();
    if (code == absl::StatusCode::kNotFound) return NoSuchSilo(silo, {});
    std::string why(outcome.accepted.message());
    if (code == absl::StatusCode::kPermissionDenied) {
      absl::StrAppend(&why,
                      "; the user of the configuration may (polkit rule of "
                      "'vmsilo-unitgen install'), others need root");
    } else if (unit) {
      const std::string load = LoadProblem(*unit);
      if (!load.empty()) why = load;
    }
    return absl::Status(code, absl::StrCat(what, why));
  }
  if (outcome.result == "done") return absl::OkStatus();
  const std::string failure = unit ? FailureOf(*unit) : "";
  if (outcome.result == "failed") {
    return absl::UnavailableError(
        absl::StrCat(what, outcome.unit, " ",
                     failure.empty() ? "failed" : failure, "; ", Logs(silo)));
  }
  if (outcome.result == "dependency") {
    return absl::UnavailableError(
        absl::StrCat(what, "something that it needs did not start; 'vmsilo ",
                     "status ", silo, "' shows what"));
  }
  if (outcome.result == "timeout") {
    return absl::DeadlineExceededError(
        absl::StrCat(what, outcome.unit, " took too long; ", Logs(silo)));
  }
  if (outcome.result == "canceled") {
    return absl::AbortedError(
        absl::StrCat(what, "somebody asked for the opposite meanwhile"));
  }
  if (outcome.result == "skipped") return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(what, "systemd says ", Quoted(outcome.result)));
}

absl::Status ExplainConnect(absl::string_view silo, const absl::Status& error,
                            const std::optional<UnitState>& socket_unit,
                            const InstalledSilos& installed) {
  if (socket_unit && socket_unit->load_state == "not-found") {
    return NoSuchSilo(silo, installed);
  }
  const std::string unit = layout::SocketUnit(silo);
  if (error.code() == absl::StatusCode::kPermissionDenied) {
    return absl::PermissionDeniedError(
        absl::StrCat("the command socket of ", Silo(silo),
                     " belongs to another user; run this as the user whom the "
                     "configuration names, or as root"));
  }
  if (socket_unit) {
    const std::string load = LoadProblem(*socket_unit);
    if (!load.empty()) return absl::UnavailableError(load);
    if (socket_unit->active_state == "failed") {
      return absl::UnavailableError(absl::StrCat(
          unit, " has failed (", socket_unit->result, "); 'systemctl restart ",
          unit, "' as root puts it back"));
    }
    if (socket_unit->active_state != "active") {
      return absl::UnavailableError(
          absl::StrCat("nobody listens for ", Silo(silo), ": ", unit, " is ",
                       socket_unit->active_state, "; 'systemctl start ", unit,
                       "' as root changes that"));
    }
  }
  return absl::Status(error.code(), absl::StrCat("cannot reach ", Silo(silo),
                                                 ": ", error.message()));
}

absl::Status ExplainSilence(absl::string_view silo, const absl::Status& error,
                            const std::optional<UnitState>& vm_unit) {
  if (!vm_unit) {
    return absl::UnavailableError(
        absl::StrCat(Silo(silo), ": ", error.message(), "; ", Logs(silo)));
  }
  const std::string load = LoadProblem(*vm_unit);
  if (!load.empty()) return absl::UnavailableError(load);
  const std::string failure = FailureOf(*vm_unit);
  switch (StateOf(*vm_unit)) {
    case SiloState::kFailed:
      return absl::UnavailableError(
          absl::StrCat(Silo(silo), " did not start: ", vm_unit->name, " ",
                       failure.empty() ? "failed" : failure, "; ", Logs(silo)));
    case SiloState::kStopped:
      return absl::UnavailableError(absl::StrCat(
          Silo(silo), " was not started or has stopped again; 'vmsilo start ",
          silo, "' says why, ", Logs(silo)));
    case SiloState::kStopping:
      return absl::UnavailableError(
          absl::StrCat(Silo(silo), " is being stopped; try again when it has"));
    case SiloState::kStarting:
      return absl::UnavailableError(
          absl::StrCat(Silo(silo),
                       " is still starting, but the connection to "
                       "it ended; ",
                       Logs(silo)));
    case SiloState::kRunning:
      return absl::UnavailableError(absl::StrCat(
          Silo(silo), " runs, but its agent did not answer (", error.message(),
          "); is vmsilo-agent started in the guest? ", Logs(silo)));
    case SiloState::kUnknown:
      break;
  }
  return absl::UnavailableError(
      absl::StrCat(Silo(silo), ": ", error.message(), "; ", Logs(silo)));
}

absl::Status ExplainError(absl::string_view silo, absl::string_view command,
                          const command::Error& error,
                          const std::optional<UnitState>& vm_unit) {
  absl::string_view message = error.message;
  // Agents name the command as we do; once is enough.
  const std::string named = absl::StrCat(Quoted(command), ": ");
  if (!absl::ConsumePrefix(&message, named)) {
    absl::ConsumePrefix(&message, absl::StrCat("start ", named));
  }
  const std::string text = EscapedText(message);
  const std::string detail = text.empty() ? "" : absl::StrCat(" (", text, ")");
  switch (static_cast<ErrorCode>(error.code)) {
    case ErrorCode::kCommandNotFound:
      return absl::NotFoundError(
          absl::StrCat(Quoted(command), ": no such command in ", Silo(silo)));
    case ErrorCode::kNotExecutable:
      return absl::PermissionDeniedError(absl::StrCat(
          Quoted(command), ": cannot be executed in ", Silo(silo), detail));
    case ErrorCode::kCannotStart:
      return absl::FailedPreconditionError(
          absl::StrCat(Silo(silo), " cannot start ", Quoted(command), detail));
    case ErrorCode::kNoCommonVersion:
      return absl::FailedPreconditionError(absl::StrCat(
          Silo(silo), " speaks another version of the command protocol", detail,
          "; update vmsilo-agent in the guest"));
    case ErrorCode::kRefused:
      return absl::PermissionDeniedError(
          absl::StrCat(Silo(silo), " refuses commands", detail));
    case ErrorCode::kBusy:
      return absl::ResourceExhaustedError(
          absl::StrCat(Silo(silo), " runs as many commands as it may", detail,
                       "; try again when some have ended"));
    case ErrorCode::kTimeout:
      return absl::DeadlineExceededError(
          absl::StrCat(Silo(silo), " gave up waiting", detail));
    case ErrorCode::kVmUnreachable:
      if (vm_unit) {
        return ExplainSilence(silo, absl::UnavailableError(text), vm_unit);
      }
      return absl::UnavailableError(absl::StrCat(Silo(silo), " is not running",
                                                 detail, "; ", Logs(silo)));
    case ErrorCode::kAgentUnreachable:
      return absl::UnavailableError(
          absl::StrCat(Silo(silo), " runs, but nobody answers in it", detail,
                       "; is vmsilo-agent started in the guest? ", Logs(silo)));
    case ErrorCode::kShuttingDown:
      return absl::UnavailableError(absl::StrCat(
          Silo(silo), " is shutting down", detail, "; try again when it has"));
    case ErrorCode::kInternal:
    case ErrorCode::kProtocol:
      break;
  }
  return absl::UnavailableError(absl::StrCat(
      Silo(silo), " could not run the command",
      text.empty() ? absl::StrCat(" (error ", error.code, ")") : detail));
}

}  // namespace vmsilo::cli
