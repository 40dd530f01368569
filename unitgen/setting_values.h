#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {

// What systemd expects as the value of a setting of a unit's main section, if
// `value` is something else; nullopt if it would take it, or if this knows
// nothing of the setting. systemd says such things in its journal only, and
// goes on without the line: a limit that is not there looks like one that is.
//
// Of systemd.resource-control(5) and systemd.exec(5), for what limits and
// confines; as all releases from 252 on read it.
std::optional<std::string> ExpectedInstead(absl::string_view key,
                                           absl::string_view value);

}  // namespace vmsilo::unitgen
