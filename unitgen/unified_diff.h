#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {

// How many lines two texts may differ by before the difference is shown as
// all of the one replaced by all of the other. The effort grows with its
// square, and nobody reads more.
inline constexpr int kMaxDiffLines = 4000;

// The hunks that turn `before` into `after`, as `diff -u` prints them, with
// three lines of context and without the two lines that name the files; ""
// for equal texts. patch(1) can apply them.
std::string UnifiedDiff(absl::string_view before, absl::string_view after);

}  // namespace vmsilo::unitgen
