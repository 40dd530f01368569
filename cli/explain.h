#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/service_manager.h"
#include "command/frame.h"

// What `vmsilo` tells a person: systemd's states and the command channel's
// errors, turned into words and a next step. Pure.
namespace vmsilo::cli {

// A silo's state in one word, from the unit of its VM.
enum class SiloState {
  kRunning,
  kStarting,
  kStopping,
  kStopped,
  kFailed,
  kUnknown,  // no such unit, or its file is broken
};
SiloState StateOf(const UnitState& vm_unit);
absl::string_view ToString(SiloState state);

// Why a unit failed, or "" if it did not: "exited with status 1", "killed by
// signal 9 (SIGKILL)", "did not start in time".
std::string FailureOf(const UnitState& unit);

// The silos of which systemd knows anything.
struct InstalledSilos {
  std::vector<std::string> names;
  // The generator has left a unit that says so, in place of the silos' units.
  bool is_configuration_broken = false;
};

// NotFound: there is no such silo, but perhaps another was meant. Unavailable:
// it is known, or may be, but its units are not there.
absl::Status NoSuchSilo(absl::string_view silo,
                        const InstalledSilos& installed);

// What became of a job for the silo's VM. `unit` is the VM's unit afterwards,
// if it could be asked for. OK if the job did what it was for.
absl::Status ExplainJob(absl::string_view silo, Verb verb,
                        const JobOutcome& outcome,
                        const std::optional<UnitState>& unit);

// Why the silo's command socket could not be connected to. `socket_unit` is
// the unit that listens on it.
absl::Status ExplainConnect(absl::string_view silo, const absl::Status& error,
                            const std::optional<UnitState>& socket_unit,
                            const InstalledSilos& installed);

// Why the connection ended before the guest's agent said anything.
absl::Status ExplainSilence(absl::string_view silo, const absl::Status& error,
                            const std::optional<UnitState>& vm_unit);

// The error that the guest's agent or the host's proxy answered with. `command`
// is argv[0]. The proxy cannot tell a machine that is not there from one
// without a driver for vsock, such as one that boots: `vm_unit` does.
absl::Status ExplainError(
    absl::string_view silo, absl::string_view command,
    const command::Error& error,
    const std::optional<UnitState>& vm_unit = std::nullopt);

}  // namespace vmsilo::cli
