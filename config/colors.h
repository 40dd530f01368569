#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo::config {

// A colour as "#rrggbb", lower case: from one of the 148 names of CSS Color
// Level 4, or from "#rrggbb", both in any case. Nothing for anything else.
std::optional<std::string> ResolveColor(absl::string_view text);

// The name that has this value ("#rrggbb", lower case), the alphabetically
// first of several; "" if none has.
absl::string_view ColorName(absl::string_view value);

}  // namespace vmsilo::config
