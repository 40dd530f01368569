#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/settings.h"
#include "common/bytes.h"
#include "common/options.h"
#include "config/config.h"

namespace vmsilo::balloond {

// As the command line has it. The defaults are those of the configuration.
struct Options {
  std::string policy = config::Balloond().policy;
  absl::Duration poll_interval = config::Balloond().poll_interval;
  absl::Duration calm_interval = config::Balloond().calm_interval;
  absl::Duration min_poll_interval = config::Balloond().min_poll_interval;
  double psi_ceiling = config::Balloond().psi_ceiling;
  double critical_host_percent = config::Balloond().critical_host_percent;
  Bytes critical_guest_available = config::Balloond().critical_guest_available;
  Bytes guest_available_bias = config::Balloond().guest_available_bias;
  std::string run_dir = "/run/vmsilo";
  std::optional<uid_t> owner;
  std::string metrics_file;
  bool dry_run = false;
  bool once = false;
};

// Where the program keeps its own files, and listens.
std::string StateDir(const std::string& run_dir);
std::string ControlSocketPath(const std::string& run_dir);

// What the policy is told. InvalidArgument with the exit code of a usage
// error.
absl::StatusOr<Settings> Check(const Options& options);

Program MakeProgram(Options* options,
                    std::function<absl::Status(const Options&)> run);

}  // namespace vmsilo::balloond
