#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/policy.h"

namespace vmsilo::balloond::sim {

// All that can be measured: what ships, its rivals, and limits.
std::vector<Policy> Policies();

// NotFound, naming them all, if there is none of this name.
absl::StatusOr<Policy> FindPolicy(absl::string_view name);

}  // namespace vmsilo::balloond::sim
