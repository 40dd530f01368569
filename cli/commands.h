#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/service_manager.h"

namespace vmsilo::cli {

// `vmsilo start`, `stop` and `restart`: waits until every silo is where it is
// to be, and says what went wrong with which.
absl::Status ControlCommand(Verb verb, const std::vector<std::string>& silos);

struct ListFlags {
  bool json = false;
  bool names = false;
  std::string config;  // instead of the usual files
};

// `vmsilo list`: a line a silo.
absl::Status ListCommand(const ListFlags& flags);

// `vmsilo status`: all that is known of the silos, or of all of them.
absl::Status StatusCommand(const std::vector<std::string>& silos,
                           const ListFlags& flags);

// `vmsilo check`: hands over to `vmsilo-unitgen check`; only returns if that
// is not there, having checked the configuration alone.
absl::Status CheckCommand(const std::string& config);

}  // namespace vmsilo::cli
