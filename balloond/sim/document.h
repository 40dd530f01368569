#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::balloond::sim {

// `document` with what is between the lines "<!-- begin NAME -->" and
// "<!-- end NAME -->" replaced. NotFound without such lines, or with the
// second before the first.
absl::StatusOr<std::string> ReplacePart(absl::string_view document,
                                        absl::string_view name,
                                        absl::string_view text);

}  // namespace vmsilo::balloond::sim
