#include "common/parse_duration.h"

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/decimal.h"
#include "common/escape.h"
#include "common/status.h"

namespace vmsilo {
namespace {

struct Unit {
  absl::string_view name;
  int64_t nanoseconds;
};

constexpr int64_t kSecond = 1'000'000'000;
constexpr Unit kUnits[] = {
    {"", kSecond},         {"us", 1'000},          {"ms", 1'000'000},
    {"s", kSecond},        {"m", 60 * kSecond},    {"min", 60 * kSecond},
    {"h", 3600 * kSecond}, {"d", 86400 * kSecond},
};

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  const size_t length = DecimalPrefix(text);
  if (length > 0) {
    for (const Unit& unit : kUnits) {
      if (text.substr(length) != unit.name) continue;
      const absl::StatusOr<int64_t> nanoseconds =
          ScaleDecimal(text.substr(0, length), unit.nanoseconds);
      if (!nanoseconds.ok()) {
        return Annotate(nanoseconds.status(),
                        absl::StrCat("duration ", Quoted(text)));
      }
      return absl::Nanoseconds(*nanoseconds);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      Quoted(text), ": expected a duration such as 100ms, 2s or 5m"));
}

}  // namespace vmsilo
