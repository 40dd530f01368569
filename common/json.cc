#include "common/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/escape.h"
#include "nlohmann/json.hpp"

namespace vmsilo {
namespace {

using nlohmann::json;

bool IsOneOf(char c, absl::string_view set) {
  return set.find(c) != absl::string_view::npos;
}

// Follows the library's parser through the text. The library says what it
// found, not where; the scanner finds the same token again, which is easy
// because the token is known to be valid.
class Scanner {
 public:
  Scanner(absl::string_view text, uint32_t source)
      : text_(text), at_{source, 1, 1} {
    // The library skips a byte order mark, too.
    if (text_.substr(0, 3) == "\xef\xbb\xbf") offset_ = 3;
  }

  // Where the next token begins. Steps over it.
  Position Next() {
    while (offset_ < text_.size() && IsOneOf(text_[offset_], " \t\r\n,:")) {
      Step();
    }
    const Position begin = at_;
    if (offset_ >= text_.size()) return begin;
    const char first = text_[offset_];
    Step();
    if (first == '"') {
      while (offset_ < text_.size() && text_[offset_] != '"') {
        if (text_[offset_] == '\\') Step();
        Step();
      }
      Step();
    } else if (!IsOneOf(first, "{}[]")) {
      while (offset_ < text_.size() &&
             (absl::ascii_isalnum(text_[offset_]) || text_[offset_] == '.' ||
              text_[offset_] == '+' || text_[offset_] == '-')) {
        Step();
      }
    }
    return begin;
  }

  // The position of the first token at or after the present place and that
  // byte.
  Position At(size_t offset) {
    while (offset_ < text_.size() &&
           (offset_ < offset || IsOneOf(text_[offset_], " \t\r\n"))) {
      Step();
    }
    return at_;
  }

 private:
  void Step() {
    if (offset_ >= text_.size()) return;
    const unsigned char c = text_[offset_++];
    if (c == '\n') {
      ++at_.line;
      at_.column = 1;
    } else if ((c & 0xc0) != 0x80) {
      // The column after this character; its further bytes have none.
      ++at_.column;
    }
  }

  absl::string_view text_;
  size_t offset_ = 0;
  Position at_;
};

// Builds the tree from the library's events. A handler that returns false
// ends the parse.
class Builder {
 public:
  Builder(absl::string_view text, uint32_t source) : scanner_(text, source) {}

  bool null() { return Add(Value::Null(scanner_.Next())); }
  bool boolean(bool value) { return Add(Value(value, scanner_.Next())); }
  bool number_integer(int64_t value) {
    return Add(Value(value, scanner_.Next()));
  }
  bool number_unsigned(uint64_t value) {
    const Position at = scanner_.Next();
    if (value <= INT64_MAX) return Add(Value(static_cast<int64_t>(value), at));
    return Add(Value(value, at));
  }
  bool number_float(double value, const std::string& text) {
    const Position at = scanner_.Next();
    // The library turns integers that fit nowhere into floating numbers.
    if (text.find_first_of(".eE") == std::string::npos ||
        !std::isfinite(value)) {
      Error(at,
            absl::StrCat("the number ", Quoted(text, 40), " is out of range"));
      return Add(Value::Null(at));
    }
    return Add(Value(value, at));
  }
  bool string(std::string& value) {
    return Add(Value(std::move(value), scanner_.Next()));
  }
  bool binary(json::binary_t&) { return false; }
  bool key(std::string& value) {
    open_.back().key_at = scanner_.Next();
    open_.back().key = std::move(value);
    return true;
  }
  bool start_object(size_t) { return Open(/*is_table=*/true); }
  bool end_object() {
    scanner_.Next();
    Container done = std::move(open_.back());
    open_.pop_back();
    for (const Value::Member& extra : SortMembers(done.members)) {
      const auto first = FindInTable(done.members, extra.key);
      Error(extra.at, absl::StrCat("the key ", Quoted(extra.key),
                                   " is already on line ", first->at.line));
    }
    return Add(Value(std::move(done.members), done.at));
  }
  bool start_array(size_t) { return Open(/*is_table=*/false); }
  bool end_array() {
    scanner_.Next();
    Container done = std::move(open_.back());
    open_.pop_back();
    return Add(Value(std::move(done.elements), done.at));
  }
  bool parse_error(size_t offset, const std::string& token,
                   const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: …",
    // and without a place for numbers: "[…406] number overflow parsing '1e9'".
    absl::string_view message = error.what();
    const size_t detail = message.find(": ");
    const size_t tag = message.find("] ");
    if (detail != absl::string_view::npos) {
      message.remove_prefix(detail + 2);
    } else if (tag != absl::string_view::npos) {
      message.remove_prefix(tag + 2);
    }
    // `token` ends at `offset`; what is wrong with it began before.
    const bool is_at_end = absl::StrContains(message, "unexpected end");
    const Position at =
        scanner_.At(is_at_end ? std::numeric_limits<size_t>::max()
                              : offset - std::min(token.size(), offset));
    // The library puts parts of the text into its message.
    Error(at, absl::StrCat("JSON: ", absl::StrReplaceAll(Escaped(message),
                                                         {{"\\'", "'"}})));
    return false;
  }

  ParsedText Take() {
    ParsedText result;
    if (is_complete_) result.value = std::move(root_);
    std::stable_sort(
        errors_.begin(), errors_.end(),
        [](const TextError& a, const TextError& b) { return a.at < b.at; });
    result.errors = std::move(errors_);
    return result;
  }

  void Error(Position at, std::string message) {
    if (errors_.size() < kMaxJsonErrors) {
      errors_.push_back({at, std::move(message)});
    }
  }

 private:
  struct Container {
    bool is_table;
    Position at;
    std::string key;
    Position key_at;
    Value::Table members;
    Value::Array elements;
  };

  bool Open(bool is_table) {
    const Position at = scanner_.Next();
    if (open_.size() >= kMaxJsonDepth) {
      Error(at, absl::StrCat("more than ", kMaxJsonDepth,
                             " tables and arrays within each other"));
      return false;
    }
    open_.push_back({.is_table = is_table, .at = at});
    return true;
  }

  bool Add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      is_complete_ = true;
    } else if (open_.back().is_table) {
      open_.back().members.push_back(
          {std::move(open_.back().key), open_.back().key_at, std::move(value)});
    } else {
      open_.back().elements.push_back(std::move(value));
    }
    return true;
  }

  Scanner scanner_;
  std::vector<Container> open_;
  Value root_;
  bool is_complete_ = false;
  std::vector<TextError> errors_;
};

void AppendString(absl::string_view text, std::string& out) {
  // With error_handler_t::replace the library does not throw.
  out += json(std::string(text))
             .dump(-1, ' ', /*ensure_ascii=*/false,
                   json::error_handler_t::replace);
}

void AppendReal(double value, std::string& out) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[32];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof(buffer), value);
  const absl::string_view digits(buffer, end - buffer);
  absl::StrAppend(&out, digits);
  // What was a floating number shall be one again.
  if (digits.find_first_of(".e") == absl::string_view::npos) out += ".0";
}

void Append(const Value& value, int indent, int level, std::string& out);

void NewLine(int indent, int level, std::string& out) {
  if (indent <= 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * level, ' ');
}

void AppendTable(const Value::Table& table, int indent, int level,
                 std::string& out) {
  out += '{';
  bool is_first = true;
  for (const Value::Member& member : table) {
    if (!is_first) out += ',';
    is_first = false;
    NewLine(indent, level + 1, out);
    AppendString(member.key, out);
    out += indent > 0 ? ": " : ":";
    Append(member.value, indent, level + 1, out);
  }
  if (!table.empty()) NewLine(indent, level, out);
  out += '}';
}

void AppendArray(const Value::Array& array, int indent, int level,
                 std::string& out) {
  out += '[';
  bool is_first = true;
  for (const Value& element : array) {
    if (!is_first) out += ',';
    is_first = false;
    NewLine(indent, level + 1, out);
    Append(element, indent, level + 1, out);
  }
  if (!array.empty()) NewLine(indent, level, out);
  out += ']';
}

void Append(const Value& value, int indent, int level, std::string& out) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      out += "null";
      return;
    case Value::Kind::kBool:
      out += *value.AsBool() ? "true" : "false";
      return;
    case Value::Kind::kInteger:
      absl::StrAppend(&out, *value.AsInteger());
      return;
    case Value::Kind::kUnsigned:
      absl::StrAppend(&out, *value.AsUnsigned());
      return;
    case Value::Kind::kReal:
      AppendReal(*value.AsReal(), out);
      return;
    case Value::Kind::kString:
      AppendString(*value.AsString(), out);
      return;
    case Value::Kind::kDateTime:
      AppendString(*value.AsDateTime(), out);
      return;
    case Value::Kind::kArray:
      AppendArray(*value.AsArray(), indent, level, out);
      return;
    case Value::Kind::kTable:
      AppendTable(*value.AsTable(), indent, level, out);
      return;
  }
}

}  // namespace

ParsedText ParseJsonText(absl::string_view text, uint32_t source) {
  Builder builder(text, source);
  // The library takes a NUL for the end of the text.
  const size_t nul = text.find('\0');
  if (nul != absl::string_view::npos) {
    builder.Error(Scanner(text, source).At(nul), "JSON: a NUL byte");
    return builder.Take();
  }
  try {
    json::sax_parse(text.data(), text.data() + text.size(), &builder);
  } catch (const std::exception& error) {
    builder.Error({source, 1, 1}, absl::StrCat("JSON: ", error.what()));
  }
  return builder.Take();
}

absl::StatusOr<Value> ParseJson(absl::string_view text) {
  ParsedText parsed = ParseJsonText(text);
  if (!parsed.errors.empty()) {
    const TextError& first = parsed.errors.front();
    return absl::InvalidArgumentError(
        absl::StrFormat("line %d, column %d: %s", first.at.line,
                        first.at.column, first.message));
  }
  if (!parsed.value) return absl::InvalidArgumentError("no JSON value");
  return *std::move(parsed.value);
}

std::string JsonString(absl::string_view text) {
  std::string out;
  AppendString(text, out);
  return out;
}

std::string ToJson(const Value& value, int indent) {
  std::string out;
  Append(value, indent, 0, out);
  return out;
}

}  // namespace vmsilo
