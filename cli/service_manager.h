#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

// systemd, as far as `vmsilo` needs it: a seam, so that what the program says
// about units is tested without a service manager.
namespace vmsilo::cli {

// A unit's properties in systemd's own words (man 1 systemctl,
// man 5 org.freedesktop.systemd1). Empty where it has none.
struct UnitState {
  std::string name;
  std::string load_state;    // "loaded", "not-found", "masked", "error", ...
  std::string load_error;    // why, when the file cannot be read
  std::string active_state;  // "active", "inactive", "failed", "activating" ...
  std::string sub_state;
  std::string result;         // of services and sockets: "success", "exit-code"
  std::string status_text;    // what the service says of itself
  std::string fragment;       // the unit's file
  bool needs_reload = false;  // the file has changed since it was read
  std::optional<int> exit_status;  // of the last main process, when it exited
  std::optional<int> exit_signal;  // or was killed
  std::optional<int32_t> main_pid;
  std::optional<uint64_t> memory_bytes;
  std::optional<absl::Time> active_since;

  friend bool operator==(const UnitState&, const UnitState&) = default;
};

enum class Verb { kStart, kStop, kRestart };

// How one unit's job ended.
struct JobOutcome {
  std::string unit;
  // Not OK if systemd did not accept the job: NotFound for a unit that does
  // not exist, PermissionDenied, FailedPrecondition and others.
  absl::Status accepted;
  // systemd's word: "done", "canceled", "timeout", "failed", "dependency",
  // "skipped" and others. Empty if the job was not accepted.
  std::string result;
};

class ServiceManager {
 public:
  virtual ~ServiceManager() = default;

  // The names of units that match one of the shell patterns, whether they run
  // or only have a file, in byte order.
  virtual absl::StatusOr<std::vector<std::string>> FindUnits(
      absl::Span<const std::string> patterns) = 0;

  // A unit's state; one that does not exist has the load state "not-found".
  virtual absl::StatusOr<UnitState> GetUnit(absl::string_view name) = 0;

  // The same of many at once, with the name and the three states only.
  virtual absl::StatusOr<std::vector<UnitState>> GetUnits(
      absl::Span<const std::string> names) = 0;

  // Hands in a job for each unit, then waits until all have ended. `tick` is
  // called about once a second meanwhile. The status is about the connection
  // alone; outcomes are in the order of `units`.
  virtual absl::StatusOr<std::vector<JobOutcome>> RunJobs(
      Verb verb, absl::Span<const std::string> units,
      const std::function<void()>& tick) = 0;
};

}  // namespace vmsilo::cli
