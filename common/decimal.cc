#include "common/decimal.h"

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"

namespace vmsilo {

size_t DecimalPrefix(absl::string_view text) {
  size_t length = 0;
  while (length < text.size() &&
         (absl::ascii_isdigit(text[length]) || text[length] == '.')) {
    ++length;
  }
  return length;
}

absl::StatusOr<int64_t> ScaleDecimal(absl::string_view text, int64_t factor) {
  const size_t point = text.find('.');
  const absl::string_view whole = text.substr(0, point);
  const absl::string_view fraction =
      point == absl::string_view::npos ? "" : text.substr(point + 1);
  const auto is_digits = [](absl::string_view digits) {
    if (digits.size() > static_cast<size_t>(kMaxDecimalDigits)) return false;
    for (const char c : digits) {
      if (!absl::ascii_isdigit(c)) return false;
    }
    return true;
  };
  if (whole.empty() || !is_digits(whole) || !is_digits(fraction) ||
      (point != absl::string_view::npos && fraction.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is not a decimal number"));
  }

  // 19 digits times 2^63 stay below 2^127.
  absl::uint128 total = 0;
  for (const char c : whole) total = total * 10 + (c - '0');
  total *= static_cast<uint64_t>(factor);
  absl::uint128 part = 0;
  absl::uint128 divisor = 1;
  for (const char c : fraction) {
    part = part * 10 + (c - '0');
    divisor *= 10;
  }
  part *= static_cast<uint64_t>(factor);
  if (part % divisor != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is finer than the smallest unit"));
  }
  total += part / divisor;
  if (total > std::numeric_limits<int64_t>::max()) {
    return absl::OutOfRangeError(absl::StrCat(Quoted(text), " is too large"));
  }
  return static_cast<int64_t>(absl::Uint128Low64(total));
}

}  // namespace vmsilo
