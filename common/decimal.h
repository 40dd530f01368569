#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo {

// Multiplies the decimal number `text` ("12", "1.5", ".5" not) by `factor`,
// exactly. InvalidArgument if `text` is no such number, or the product is no
// whole one; OutOfRange if it is above INT64_MAX. The text is for humans, so
// at most kMaxDecimalDigits digits are taken on each side of the point.
inline constexpr int kMaxDecimalDigits = 19;
absl::StatusOr<int64_t> ScaleDecimal(absl::string_view text, int64_t factor);

// The length of the number at the start of `text`.
size_t DecimalPrefix(absl::string_view text);

}  // namespace vmsilo
