#include "common/systemd_quote.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace vmsilo {
namespace {

constexpr char kHex[] = "0123456789abcdef";

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7f; }

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool IsUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    int more = 0;
    uint32_t code = 0;
    uint32_t least = 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1, code = lead & 0x1f, least = 0x80;
    } else if ((lead & 0xf0) == 0xe0) {
      more = 2, code = lead & 0x0f, least = 0x800;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3, code = lead & 0x07, least = 0x10000;
    } else {
      return false;
    }
    for (; more > 0; --more) {
      if (i >= text.size()) return false;
      const auto next = static_cast<unsigned char>(text[i++]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      return false;
    }
  }
  return true;
}

bool HasControl(absl::string_view text) {
  for (const char c : text) {
    if (IsControl(static_cast<unsigned char>(c))) return true;
  }
  return false;
}

// One look for each byte: a generator quotes ten thousand words at each boot.
constexpr std::array<bool, 256> kIsBare = [] {
  std::array<bool, 256> table = {};
  for (size_t c = 0; c < table.size(); ++c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_digit = c >= '0' && c <= '9';
    table[c] = is_letter || is_digit;
  }
  for (const char c : {'/', '.', '_', '-', ',', ':', '=', '@', '+'}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

// Characters that mean nothing to systemd anywhere in a word.
struct IsBare {
  bool operator()(char c) const {
    return kIsBare[static_cast<unsigned char>(c)];
  }
};

bool IsBareWord(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsBare());
}

// C escapes within double quotes, for parsers that undo them.
void AppendEscaped(unsigned char c, std::string* out) {
  switch (c) {
    case '"':
    case '\\':
      out->push_back('\\');
      out->push_back(static_cast<char>(c));
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\t':
      out->append("\\t");
      return;
    case '\r':
      out->append("\\r");
      return;
    default:
      break;
  }
  if (IsControl(c) || c >= 0x80) {
    out->append("\\x");
    out->push_back(kHex[c >> 4]);
    out->push_back(kHex[c & 0xf]);
    return;
  }
  out->push_back(static_cast<char>(c));
}

// `doubled` are the characters that a later pass would interpret.
void AppendQuoted(absl::string_view text, absl::string_view doubled,
                  std::string* out) {
  if (IsBareWord(text)) {
    out->append(text.data(), text.size());
    return;
  }
  out->push_back('"');
  while (!text.empty()) {
    const size_t bare = static_cast<size_t>(
        std::find_if_not(text.begin(), text.end(), IsBare()) - text.begin());
    out->append(text.data(), bare);
    text.remove_prefix(bare);
    if (text.empty()) break;
    if (doubled.find(text[0]) != absl::string_view::npos) {
      out->push_back(text[0]);
    }
    AppendEscaped(static_cast<unsigned char>(text[0]), out);
    text.remove_prefix(1);
  }
  out->push_back('"');
}

std::string QuoteEscaped(absl::string_view text, absl::string_view doubled) {
  std::string out;
  out.reserve(text.size() + 8);
  AppendQuoted(text, doubled, &out);
  return out;
}

std::string DoublePercent(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '%') out.push_back('%');
    out.push_back(c);
  }
  return out;
}

bool IsUnitNameByte(unsigned char c) {
  return absl::ascii_isalnum(c) || c == ':' || c == '_' || c == '.';
}

}  // namespace

void AppendExecArgument(absl::string_view argument, std::string* line) {
  AppendQuoted(argument, "%$", line);
}

std::string QuoteExecArgument(absl::string_view argument) {
  return QuoteEscaped(argument, "%$");
}

std::optional<std::string> QuoteExecProgram(absl::string_view path) {
  if (path.empty() || path[0] != '/' || HasControl(path) || !IsUtf8(path) ||
      path.find_first_of("'\"\\") != absl::string_view::npos) {
    return std::nullopt;
  }
  // Variables are not expanded in the program's path.
  return QuoteEscaped(path, "%");
}

std::optional<std::string> QuoteEnvironment(absl::string_view key,
                                            absl::string_view value) {
  if (!IsUtf8(value)) return std::nullopt;
  for (const char c : value) {
    if (IsControl(static_cast<unsigned char>(c)) && c != '\t' && c != '\n') {
      return std::nullopt;
    }
  }
  return QuoteEscaped(absl::StrCat(key, "=", value), "%");
}

std::optional<std::string> QuotePath(absl::string_view path) {
  if (path.empty() || path[0] != '/' || HasControl(path) || !IsUtf8(path)) {
    return std::nullopt;
  }
  // ':' separates source and destination of a bind.
  if (IsBareWord(path) && path.find(':') == absl::string_view::npos) {
    return std::string(path);
  }
  // These lists know quotes, and `\\` in all of their dialects, but not all
  // dialects know `\"`.
  const bool has_double = path.find('"') != absl::string_view::npos;
  if (has_double && path.find('\'') != absl::string_view::npos) {
    return std::nullopt;
  }
  const char quote = has_double ? '\'' : '"';
  std::string out(1, quote);
  for (const char c : path) {
    if (c == '%' || c == '\\') out.push_back(c);
    out.push_back(c);
  }
  out.push_back(quote);
  return out;
}

std::optional<std::string> PlainValue(absl::string_view text) {
  if (HasControl(text) || !IsUtf8(text) ||
      absl::StripAsciiWhitespace(text) != text ||
      (!text.empty() && text.back() == '\\')) {
    return std::nullopt;
  }
  return DoublePercent(text);
}

std::string DescriptionValue(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const bool is_utf8 = IsUtf8(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_bad = IsControl(byte) || (byte >= 0x80 && !is_utf8);
    out.push_back(is_bad ? '?' : c);
  }
  if (!out.empty() && out.back() == '\\') out.back() = '/';
  return DoublePercent(out);
}

std::optional<std::string> QuoteTmpfiles(absl::string_view path) {
  if (path.empty() || path[0] != '/' || HasControl(path) || !IsUtf8(path)) {
    return std::nullopt;
  }
  if (IsBareWord(path)) return std::string(path);
  std::string out = "\"";
  for (const char c : path) {
    if (c == '%') out.push_back('%');
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

std::optional<std::string> QuoteTmpfilesContent(absl::string_view text) {
  if (text.empty() || text == "-" || text[0] == ' ' || !IsUtf8(text)) {
    return std::nullopt;
  }
  std::string out;
  for (const char c : text) {
    if (c == '%') out.push_back('%');
    if (c == '"') {
      out.push_back(c);  // No quotes here, only escapes.
    } else {
      AppendEscaped(static_cast<unsigned char>(c), &out);
    }
  }
  return out;
}

std::string QuoteInputText(absl::string_view line) {
  std::string out;
  out.reserve(line.size() + 8);
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '%') out.push_back(c);
    if (c == '"') {
      out.push_back(c);  // No quotes here, only escapes.
    } else if (c == ' ' && (i == 0 || i + 1 == line.size())) {
      out.append("\\x20");  // systemd strips blanks at the ends.
    } else {
      AppendEscaped(static_cast<unsigned char>(c), &out);
    }
  }
  return out;
}

std::string EscapeUnitName(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '/') {
      out.push_back('-');
    } else if (IsUnitNameByte(c) && !(i == 0 && c == '.')) {
      out.push_back(static_cast<char>(c));
    } else {
      out.append("\\x");
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 0xf]);
    }
  }
  return out;
}

std::string EscapeUnitPath(absl::string_view path) {
  // Slashes at the ends do not count, nor do repeated ones.
  std::string simple;
  for (const char c : path) {
    if (c == '/' && (simple.empty() || simple.back() == '/')) continue;
    simple.push_back(c);
  }
  if (!simple.empty() && simple.back() == '/') simple.pop_back();
  return simple.empty() ? "-" : EscapeUnitName(simple);
}

}  // namespace vmsilo
