#include "common/parse_size.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/decimal.h"
#include "common/escape.h"
#include "common/status.h"

namespace vmsilo {
namespace {

struct Unit {
  absl::string_view letter;
  absl::string_view name;
  int shift;
};

constexpr std::array<Unit, 4> kUnits = {
    {{"T", "TiB", 40}, {"G", "GiB", 30}, {"M", "MiB", 20}, {"K", "KiB", 10}}};

constexpr absl::string_view kExpected =
    "expected a size such as 512M, 1.5G or 64KiB";

}  // namespace

absl::StatusOr<Bytes> ParseSize(absl::string_view text) {
  const size_t length = DecimalPrefix(text);
  const absl::string_view suffix = text.substr(length);
  int shift = suffix.empty() || absl::EqualsIgnoreCase(suffix, "B") ? 0 : -1;
  for (const Unit& unit : kUnits) {
    if (absl::EqualsIgnoreCase(suffix, unit.letter) ||
        absl::EqualsIgnoreCase(suffix, unit.name)) {
      shift = unit.shift;
    } else if (absl::EqualsIgnoreCase(suffix, absl::StrCat(unit.letter, "B"))) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(text), ": ", suffix, " is ambiguous; write ",
                       unit.name, " or ", unit.letter, " for the binary unit"));
    }
  }
  if (length == 0 || shift < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), ": ", kExpected));
  }
  absl::StatusOr<int64_t> count =
      ScaleDecimal(text.substr(0, length), int64_t{1} << shift);
  if (!count.ok()) {
    return Annotate(count.status(), absl::StrCat("size ", Quoted(text)));
  }
  return Bytes(static_cast<uint64_t>(*count));
}

std::string FormatSize(Bytes size) {
  for (const Unit& unit : kUnits) {
    const uint64_t factor = uint64_t{1} << unit.shift;
    if (size.count() != 0 && size.count() % factor == 0) {
      return absl::StrCat(size.count() / factor, unit.letter);
    }
  }
  return absl::StrCat(size.count());
}

}  // namespace vmsilo
