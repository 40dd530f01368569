#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace vmsilo {

// A span of time as people write it: a decimal number, with a fraction if
// they like, and one of the units us, ms, s, m (min), h or d; no unit means
// seconds. Never negative, never infinite, exact to the nanosecond:
// InvalidArgument or OutOfRange (beyond 292 years) otherwise.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

}  // namespace vmsilo
