#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace vmsilo::unitgen {

// What a program printed, and how it ended.
struct ChildResult {
  int exit_status = 0;  // 128 + the signal if one ended it
  std::string out;      // its stdout, at most the bytes that were asked for
};

// Runs a program (by absolute path, or by name from $PATH) with `input` on its
// stdin and its stderr thrown away, to its end. NotFound if there is no such
// program, DeadlineExceeded if it takes longer; it is killed then.
absl::StatusOr<ChildResult> RunChild(const std::vector<std::string>& argv,
                                     absl::string_view input,
                                     absl::Duration timeout, size_t max_bytes);

}  // namespace vmsilo::unitgen
