#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {

// The settings that systemd knows in a section of a unit file: "Unit",
// "Service" or "Socket"; none for another section. The names live as long as
// the program.
std::vector<absl::string_view> SettingNames(absl::string_view section);

}  // namespace vmsilo::unitgen
