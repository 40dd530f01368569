#include "config/text_rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "common/parse_number.h"
#include "config/colors.h"

namespace vmsilo::config {
namespace {

bool HasControlCharacter(absl::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_iscntrl(c); });
}

bool IsNameCharacter(unsigned char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
}

bool IsName(absl::string_view text, size_t max) {
  return !text.empty() && text.size() <= max &&
         std::all_of(text.begin(), text.end(), IsNameCharacter);
}

bool AreHexDigits(absl::string_view text, size_t count) {
  return text.size() == count &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

bool Accept(absl::string_view text, std::string* out) {
  out->assign(text.data(), text.size());
  return true;
}

bool AreIds(absl::Span<const absl::string_view> parts) {
  return std::all_of(parts.begin(), parts.end(), [](absl::string_view part) {
    return ParseNumber<uint32_t>(part).ok();
  });
}

}  // namespace

bool AcceptArgument(absl::string_view text, std::string* out) {
  return text.size() <= kMaxArgumentBytes &&
         !absl::StrContains(text, absl::string_view("\0", 1)) &&
         Accept(text, out);
}

bool AcceptLine(absl::string_view text, std::string* out) {
  return text.size() <= kMaxArgumentBytes && !HasControlCharacter(text) &&
         Accept(text, out);
}

bool AcceptPath(absl::string_view text, std::string* out) {
  return absl::StartsWith(text, "/") && text.size() <= kMaxPathBytes &&
         !HasControlCharacter(text) && Accept(text, out);
}

bool AcceptImageFile(absl::string_view text, std::string* out) {
  if (absl::StartsWith(text, "/")) return AcceptPath(text, out);
  if (text.size() > kMaxPathBytes || HasControlCharacter(text)) return false;
  // The parts between slashes; an empty text has an empty one.
  for (const absl::string_view part : absl::StrSplit(text, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return Accept(text, out);
}

bool AcceptName(absl::string_view text, std::string* out) {
  return IsName(text, kMaxNameBytes) && absl::ascii_isalnum(text[0]) &&
         Accept(text, out);
}

bool AcceptUserName(absl::string_view text, std::string* out) {
  return IsName(text, 31) && (absl::ascii_isalpha(text[0]) || text[0] == '_') &&
         Accept(text, out);
}

bool AcceptInterfaceName(absl::string_view text, std::string* out) {
  return IsName(text, kMaxInterfaceNameBytes) &&
         (absl::ascii_isalnum(text[0]) || text[0] == '_') && Accept(text, out);
}

bool AcceptFileName(absl::string_view text, std::string* out) {
  return !text.empty() && text.size() <= 255 && text != "." && text != ".." &&
         !absl::StrContains(text, "/") && !HasControlCharacter(text) &&
         Accept(text, out);
}

bool AcceptColor(absl::string_view text, std::string* out) {
  std::optional<std::string> color = ResolveColor(text);
  if (!color) return false;
  *out = *std::move(color);
  return true;
}

bool AcceptUsbId(absl::string_view text, std::string* out) {
  *out = absl::AsciiStrToLower(text);
  return AreHexDigits(text, 4);
}

bool AcceptUsbSerial(absl::string_view text, std::string* out) {
  return !text.empty() && text.size() <= kMaxUsbSerialBytes &&
         !HasControlCharacter(text) && Accept(text, out);
}

bool AcceptDiskSerial(absl::string_view text, std::string* out) {
  return IsName(text, kMaxDiskSerialBytes) && Accept(text, out);
}

bool AcceptPciAddress(absl::string_view text, std::string* out) {
  *out = absl::AsciiStrToLower(text);
  if (text.size() == 7) *out = absl::StrCat("0000:", *out);
  const absl::string_view full = *out;
  // DDDD:BB:DD.F
  if (full.size() != 12 || full[4] != ':' || full[7] != ':' ||
      full[10] != '.') {
    return false;
  }
  return AreHexDigits(full.substr(0, 4), 4) &&
         AreHexDigits(full.substr(5, 2), 2) &&
         // A device number has five bits, a function number three.
         (full[8] == '0' || full[8] == '1') &&
         AreHexDigits(full.substr(9, 1), 1) && full[11] >= '0' &&
         full[11] <= '7';
}

bool AcceptMacAddress(absl::string_view text, std::string* out) {
  *out = absl::AsciiStrToLower(text);
  const std::vector<absl::string_view> parts = absl::StrSplit(*out, ':');
  return parts.size() == 6 &&
         std::all_of(
             parts.begin(), parts.end(),
             [](absl::string_view part) { return AreHexDigits(part, 2); }) &&
         // The lowest bit of the first byte marks group addresses.
         absl::StrContains("02468ace", parts[0].substr(1)) &&
         *out != "00:00:00:00:00:00";
}

bool AcceptHostAddress(absl::string_view text, std::string* out) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (parts.size() != 2) return false;
  unsigned char bytes[sizeof(in6_addr)];
  int bits = 0;
  if (inet_pton(AF_INET, parts[0].c_str(), bytes) == 1) bits = 32;
  if (inet_pton(AF_INET6, parts[0].c_str(), bytes) == 1) bits = 128;
  return bits > 0 && ParseNumber<int>(parts[1], 0, bits).ok() &&
         !absl::StrContains(text, absl::string_view("\0", 1)) &&
         Accept(text, out);
}

bool AcceptIdMap(absl::string_view text, std::string* out) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  return parts.size() == 5 && parts.front().empty() && parts.back().empty() &&
         AreIds(absl::MakeConstSpan(parts).subspan(1, 3)) && Accept(text, out);
}

bool AcceptIdTranslation(absl::string_view text, std::string* out) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  const absl::string_view kind = parts[0];
  size_t numbers = 0;
  if (kind == "forbid-guest") {
    numbers = 2;
  } else if (kind == "map" || kind == "guest" || kind == "host" ||
             kind == "squash-guest" || kind == "squash-host") {
    numbers = 3;
  }
  return numbers > 0 && parts.size() == numbers + 1 &&
         AreIds(absl::MakeConstSpan(parts).subspan(1)) && Accept(text, out);
}

}  // namespace vmsilo::config
