#include "unitgen/setting_values.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/parse_number.h"

namespace vmsilo::unitgen {
namespace {

// Digits, and a fraction if it likes; takes them off the front.
bool ConsumeDecimal(absl::string_view* text) {
  const auto digits = [text] {
    size_t count = 0;
    while (count < text->size() && absl::ascii_isdigit((*text)[count])) ++count;
    text->remove_prefix(count);
    return count > 0;
  };
  if (!digits()) return false;
  return !absl::ConsumePrefix(text, ".") || digits();
}

bool IsPercentage(absl::string_view text) {
  return ConsumeDecimal(&text) && text == "%";
}

bool IsSize(absl::string_view text) {
  if (!ConsumeDecimal(&text)) return false;
  text = absl::StripLeadingAsciiWhitespace(text);
  return text.empty() ||
         (text.size() == 1 && absl::StrContains("EPTGMKB", text));
}

bool IsLimit(absl::string_view text) {
  return text == "infinity" || IsPercentage(text) || IsSize(text);
}

template <int64_t kMin, int64_t kMax>
bool IsBetween(absl::string_view text) {
  return ParseNumber<int64_t>(text, kMin, kMax).ok();
}

bool IsCpuWeight(absl::string_view text) {
  return text == "idle" || IsBetween<1, 10000>(text);
}

bool IsCount(absl::string_view text) {
  return text == "infinity" || IsPercentage(text) ||
         IsBetween<1, INT64_MAX>(text);
}

bool IsBoolean(absl::string_view text) {
  constexpr absl::string_view kWords[] = {"1", "yes", "y", "true",  "t", "on",
                                          "0", "no",  "n", "false", "f", "off"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [text](absl::string_view word) {
                       return absl::EqualsIgnoreCase(text, word);
                     });
}

struct Rule {
  absl::string_view key;
  bool (*accepts)(absl::string_view value);
  absl::string_view expected;
};

constexpr absl::string_view kLimit =
    "a size such as 512M or 1.5G, a percentage or infinity";
constexpr absl::string_view kWeight = "a number between 1 and 10000";
constexpr absl::string_view kBoolean = "yes or no";

constexpr Rule kRules[] = {
    {"MemoryMin", IsLimit, kLimit},
    {"MemoryLow", IsLimit, kLimit},
    {"MemoryHigh", IsLimit, kLimit},
    {"MemoryMax", IsLimit, kLimit},
    {"MemorySwapMax", IsLimit, kLimit},
    {"MemoryZSwapMax", IsLimit, kLimit},
    {"TasksMax", IsCount, "a number, a percentage or infinity"},
    {"CPUQuota", IsPercentage, "a percentage such as 150%"},
    {"CPUWeight", IsCpuWeight, "a number between 1 and 10000, or idle"},
    {"StartupCPUWeight", IsCpuWeight, "a number between 1 and 10000, or idle"},
    {"IOWeight", IsBetween<1, 10000>, kWeight},
    {"StartupIOWeight", IsBetween<1, 10000>, kWeight},
    {"Nice", IsBetween<-20, 19>, "a number between -20 and 19"},
    {"OOMScoreAdjust", IsBetween<-1000, 1000>,
     "a number between -1000 and 1000"},
    {"CPUAccounting", IsBoolean, kBoolean},
    {"IOAccounting", IsBoolean, kBoolean},
    {"IPAccounting", IsBoolean, kBoolean},
    {"MemoryAccounting", IsBoolean, kBoolean},
    {"TasksAccounting", IsBoolean, kBoolean},
    {"LockPersonality", IsBoolean, kBoolean},
    {"MemoryDenyWriteExecute", IsBoolean, kBoolean},
    {"NoNewPrivileges", IsBoolean, kBoolean},
    {"PrivateDevices", IsBoolean, kBoolean},
    {"PrivateNetwork", IsBoolean, kBoolean},
    {"ProtectClock", IsBoolean, kBoolean},
    {"ProtectKernelLogs", IsBoolean, kBoolean},
    {"ProtectKernelModules", IsBoolean, kBoolean},
    {"RestrictRealtime", IsBoolean, kBoolean},
    {"RestrictSUIDSGID", IsBoolean, kBoolean},
};

}  // namespace

std::optional<std::string> ExpectedInstead(absl::string_view key,
                                           absl::string_view value) {
  // An empty one is the default's.
  const absl::string_view text = absl::StripAsciiWhitespace(value);
  if (text.empty()) return std::nullopt;
  for (const Rule& rule : kRules) {
    if (rule.key != key) continue;
    if (rule.accepts(text)) return std::nullopt;
    return std::string(rule.expected);
  }
  return std::nullopt;
}

}  // namespace vmsilo::unitgen
