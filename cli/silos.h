#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/explain.h"
#include "cli/service_manager.h"

namespace vmsilo::cli {

// InvalidArgument if `name` cannot be a silo's.
absl::Status CheckSiloName(absl::string_view name);

// The silo whose VM's unit is called `unit`, or "".
std::string SiloOfVmUnit(absl::string_view unit);

// The units that a silo may have, its proxies and shares left out.
std::vector<std::string> UnitsOfSilo(absl::string_view silo);

// The silos that have units, in byte order.
absl::StatusOr<std::vector<std::string>> FindSilos(ServiceManager* manager);

// The same for a message, which does without: empty on failure and for a null
// `manager`.
InstalledSilos FindInstalled(ServiceManager* manager);

}  // namespace vmsilo::cli
