#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"

namespace vmsilo {

// The whole of `text` as a decimal integer between `min` and `max`, both
// included. No white space, no plus sign, no base prefix. InvalidArgument
// when it is no number, OutOfRange when it is one beyond the limits.
template <typename T>
absl::StatusOr<T> ParseNumber(absl::string_view text,
                              T min = std::numeric_limits<T>::min(),
                              T max = std::numeric_limits<T>::max()) {
  static_assert(std::is_integral_v<T>);
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::invalid_argument || stop != end) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is not a whole number"));
  }
  if (error == std::errc::result_out_of_range || value < min || value > max) {
    return absl::OutOfRangeError(
        absl::StrCat(Quoted(text), " is not between ", min, " and ", max));
  }
  return value;
}

// The whole of `text` as a number between `min` and `max`, both included,
// with a fraction and an exponent if it likes: what std::to_chars() prints.
// Neither "nan" nor "inf" is one. InvalidArgument and OutOfRange as above.
inline absl::StatusOr<double> ParseReal(absl::string_view text, double min,
                                        double max) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::invalid_argument || stop != end ||
      std::isnan(value) || (std::isinf(value) && error == std::errc())) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is not a number"));
  }
  if (error == std::errc::result_out_of_range || value < min || value > max) {
    return absl::OutOfRangeError(
        absl::StrCat(Quoted(text), " is not between ", min, " and ", max));
  }
  return value;
}

}  // namespace vmsilo
