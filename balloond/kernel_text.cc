#include "balloond/kernel_text.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "balloond/saturate.h"
#include "common/escape.h"
#include "common/parse_number.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::balloond {
namespace {

// Stalls of shorter spans say more about their rounding than about memory.
constexpr absl::Duration kShortestSpan = absl::Milliseconds(100);

absl::Status CheckSize(absl::string_view text) {
  if (text.size() <= kMaxKernelText) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("longer than ", kMaxKernelText, " bytes"));
}

// Sets `*value` to what is parsed from `text`; an error, naming `field`, if it
// is set already.
template <typename T>
absl::Status SetOnce(absl::string_view field, absl::StatusOr<T> parsed,
                     std::optional<T>* value) {
  if (!parsed.ok()) return Annotate(parsed.status(), field);
  if (value->has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is repeated"));
  }
  *value = *parsed;
  return absl::OkStatus();
}

absl::Status Missing(absl::string_view field) {
  return absl::InvalidArgumentError(absl::StrCat(field, " is missing"));
}

absl::StatusOr<int64_t> ParseKilobytes(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumeSuffix(&text, " kB")) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is no number of kB"));
  }
  VMSILO_ASSIGN_OR_RETURN(
      const int64_t kilobytes,
      ParseNumber<int64_t>(text, 0,
                           std::numeric_limits<int64_t>::max() / 1024));
  return kilobytes * 1024;
}

absl::Status ParseSome(absl::string_view fields, Pressure* pressure) {
  std::optional<double> avg10;
  std::optional<int64_t> total;
  for (absl::string_view field :
       absl::StrSplit(fields, ' ', absl::SkipEmpty())) {
    if (absl::ConsumePrefix(&field, "avg10=")) {
      VMSILO_RETURN_IF_ERROR(
          SetOnce("avg10", ParseReal(field, 0, 100), &avg10));
    } else if (absl::ConsumePrefix(&field, "total=")) {
      VMSILO_RETURN_IF_ERROR(
          SetOnce("total", ParseNumber<int64_t>(field, 0), &total));
    }
  }
  if (!avg10) return Missing("avg10");
  if (!total) return Missing("total");
  *pressure = {.avg10 = *avg10, .total = absl::Microseconds(*total)};
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Meminfo> ParseMeminfo(absl::string_view text) {
  VMSILO_RETURN_IF_ERROR(CheckSize(text));
  std::optional<int64_t> total;
  std::optional<int64_t> free;
  std::optional<int64_t> available;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, "MemTotal:")) {
      VMSILO_RETURN_IF_ERROR(SetOnce("MemTotal", ParseKilobytes(line), &total));
    } else if (absl::ConsumePrefix(&line, "MemFree:")) {
      VMSILO_RETURN_IF_ERROR(SetOnce("MemFree", ParseKilobytes(line), &free));
    } else if (absl::ConsumePrefix(&line, "MemAvailable:")) {
      VMSILO_RETURN_IF_ERROR(
          SetOnce("MemAvailable", ParseKilobytes(line), &available));
    }
  }
  if (!total) return Missing("MemTotal");
  if (!free) return Missing("MemFree");
  if (!available) return Missing("MemAvailable");
  return Meminfo{.total = *total, .free = *free, .available = *available};
}

absl::StatusOr<Pressure> ParsePressure(absl::string_view text) {
  VMSILO_RETURN_IF_ERROR(CheckSize(text));
  std::optional<Pressure> some;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "some ")) continue;
    Pressure pressure;
    VMSILO_RETURN_IF_ERROR(ParseSome(line, &pressure));
    if (some) return absl::InvalidArgumentError("some is repeated");
    some = pressure;
  }
  if (!some) return Missing("some");
  return *some;
}

absl::StatusOr<std::string> ParseCgroup(absl::string_view text) {
  VMSILO_RETURN_IF_ERROR(CheckSize(text));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "0::")) continue;
    if (!absl::StartsWith(line, "/")) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(line), " is no control group"));
    }
    for (const absl::string_view part : absl::StrSplit(line, '/')) {
      // Of a process that is outside of our own view of the hierarchy.
      if (part == ".." || part == ".") {
        return absl::InvalidArgumentError(absl::StrCat(
            Quoted(line), " is a control group that we cannot see"));
      }
    }
    return std::string(line);
  }
  return absl::NotFoundError("not in the unified hierarchy of control groups");
}

absl::StatusOr<int64_t> ParseOccupied(absl::string_view text) {
  std::optional<int64_t> anon;
  std::optional<int64_t> shmem;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::optional<int64_t>* amount = nullptr;
    if (absl::ConsumePrefix(&line, "anon ")) {
      amount = &anon;
    } else if (absl::ConsumePrefix(&line, "shmem ")) {
      amount = &shmem;
    } else {
      continue;
    }
    if (amount->has_value()) {
      return absl::InvalidArgumentError("there is a number twice");
    }
    VMSILO_ASSIGN_OR_RETURN(*amount, ParseNumber<int64_t>(line, 0));
  }
  if (!anon || !shmem) {
    return absl::InvalidArgumentError("neither anon nor shmem may be missing");
  }
  return SaturatingAdd(*anon, *shmem);
}

double PressureMeter::Update(const Pressure& pressure, absl::Time now) {
  last_ = pressure.total;
  const absl::Duration span = now - measured_at_;
  if (span >= kShortestSpan) {
    if (measured_at_ != absl::InfinitePast()) {
      share_ =
          std::clamp(100 * absl::FDivDuration(pressure.total - measured_, span),
                     0.0, 100.0);
    }
    measured_at_ = now;
    measured_ = pressure.total;
  }
  return std::max(share_, pressure.avg10);
}

absl::Duration PressureMeter::Since(const Pressure& pressure) const {
  return std::max(pressure.total - last_, absl::ZeroDuration());
}

}  // namespace vmsilo::balloond
