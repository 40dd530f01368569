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
};

// `vmsilo list`.
absl::Status ListCommand(const ListFlags& flags);

}  // namespace vmsilo::cli
