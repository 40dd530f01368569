#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace vmsilo {

// The current `errno` as a status: the code that errno stands for, and
// "what: the system's text". Call it on the line after the call that failed.
absl::Status ErrnoStatus(absl::string_view what);

// As above for an error number at hand, such as -r of a libsystemd function.
absl::Status ErrnoStatus(int error, absl::string_view what);

// Puts "context: " before the message and keeps the code. OK stays OK.
absl::Status Annotate(absl::Status status, absl::string_view context);

}  // namespace vmsilo
