#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {

// One assignment of a unit file, without blanks around key and value. Quotes,
// escapes and specifiers in the value are as they stand.
struct Assignment {
  std::string section;
  std::string key;
  std::string value;

  friend bool operator==(const Assignment&, const Assignment&) = default;
};

// The assignments of a unit file in their order (man 7 systemd.syntax):
// comments are skipped, continued lines are joined. InvalidArgument with the
// line's number for a line that is none of these, or stands before the first
// section.
absl::StatusOr<std::vector<Assignment>> ParseUnitFile(absl::string_view text);

// "service" of "vmsilo-work-vm.service"; "" if there is no dot.
absl::string_view UnitType(absl::string_view unit);

// The units that a value of Requires=, After= and the like names.
std::vector<std::string> UnitNames(absl::string_view value);

}  // namespace vmsilo::unitgen
