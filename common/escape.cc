#include "common/escape.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo {

namespace {

// `kept` are characters that need a backslash inside of quotes, but stand here
// for themselves.
std::string Escape(absl::string_view bytes, size_t max,
                   absl::string_view kept) {
  static constexpr char kHex[] = "0123456789abcdef";
  const bool is_cut = bytes.size() > max;
  std::string out;
  for (const char c : bytes.substr(0, max)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c == '\\' || c == '\'') && kept.find(c) == absl::string_view::npos) {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  if (is_cut) out += "...";
  return out;
}

}  // namespace

std::string Escaped(absl::string_view bytes, size_t max) {
  return Escape(bytes, max, "");
}

std::string EscapedText(absl::string_view bytes, size_t max) {
  return Escape(bytes, max, "\\'");
}

std::string Quoted(absl::string_view bytes, size_t max) {
  return absl::StrCat("'", Escaped(bytes, max), "'");
}

}  // namespace vmsilo
