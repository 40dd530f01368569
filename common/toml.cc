#include "common/toml.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/escape.h"
#include "common/string_view.h"

// The header-only library: the distribution's shared object would be one more
// to load at each boot. Its assertions are off in every build: some state what
// the parser only checks in the next lines ("[[[" trips one), and under Clang
// they would be assumptions.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 16
#include "toml++/toml.h"

namespace vmsilo {
namespace {

static_assert(TOML_MAX_NESTED_VALUES == kMaxTomlDepth);

// A line, or several if a value goes on: what is skipped after an error.
struct Statement {
  size_t begin = 0;
  size_t end = 0;
  uint32_t first_line = 0;
  uint32_t last_line = 0;
  bool is_header = false;
};

struct Outline {
  std::vector<Statement> statements;
  // The first key with too many parts.
  std::optional<Position> long_key;
};

// Finds where statements begin, and keys that are too long: the library puts
// no limit on the parts of a key, and its tables are destroyed recursively.
// Follows the library's reading of any text up to its first syntax error.
class OutlineScanner {
 public:
  explicit OutlineScanner(absl::string_view text) : text_(text) {}

  Outline Scan() {
    while (offset_ < text_.size()) ScanStatement();
    return std::move(outline_);
  }

 private:
  bool At(absl::string_view what) const {
    return absl::StartsWith(text_.substr(offset_), what);
  }

  // Steps over one byte.
  void Step() {
    if (text_[offset_] == '\n') {
      ++line_;
      line_begin_ = offset_ + 1;
    }
    ++offset_;
  }
  void Skip(size_t count) {
    while (count-- > 0 && offset_ < text_.size()) Step();
  }

  void ScanStatement() {
    Statement statement = {.begin = offset_, .first_line = line_};
    size_t first = text_.find_first_not_of(" \t", offset_);
    statement.is_header =
        first != absl::string_view::npos && text_[first] == '[';
    int depth = 0;
    size_t parts = 1;
    bool is_over = false;
    while (offset_ < text_.size()) {
      const char c = text_[offset_];
      switch (c) {
        case '\n':
          is_over = depth <= 0 || statement.is_header;
          parts = 1;
          break;
        case '#':
          offset_ = std::min(text_.find('\n', offset_), text_.size());
          continue;
        case '"':
        case '\'':
          ScanString(c);
          continue;
        case '[':
        case '{':
          ++depth;
          parts = 1;
          break;
        case ']':
        case '}':
          --depth;
          parts = 1;
          break;
        case '=':
        case ',':
          parts = 1;
          break;
        case '.':
          if (++parts > kMaxTomlKeyParts && !outline_.long_key) {
            outline_.long_key = Position{
                0, line_, static_cast<uint32_t>(offset_ - line_begin_ + 1)};
          }
          break;
        default:
          break;
      }
      if (is_over) break;
      Step();
    }
    statement.end = offset_;
    statement.last_line = line_;
    outline_.statements.push_back(statement);
    if (offset_ < text_.size()) Step();
  }

  void ScanString(char quote) {
    const std::string triple(3, quote);
    const bool has_escapes = quote == '"';
    if (At(triple)) {
      Skip(3);
      while (offset_ < text_.size() && !At(triple)) {
        Skip(has_escapes && text_[offset_] == '\\' ? 2 : 1);
      }
      Skip(3);
      // Up to two quotes may stand just before the closing three.
      for (int i = 0; i < 2 && offset_ < text_.size(); ++i) {
        if (text_[offset_] == quote) Step();
      }
      return;
    }
    Step();
    while (offset_ < text_.size() && text_[offset_] != quote) {
      if (text_[offset_] == '\n') return;
      if (has_escapes && text_[offset_] == '\\' && offset_ + 1 < text_.size() &&
          text_[offset_ + 1] != '\n') {
        Step();
      }
      Step();
    }
    if (offset_ < text_.size()) Step();
  }

  absl::string_view text_;
  size_t offset_ = 0;
  uint32_t line_ = 1;
  size_t line_begin_ = 0;
  Outline outline_;
};

// The library's message, which quotes parts of the text.
std::string Message(absl::string_view description) {
  return absl::StrCat(
      "TOML: ", absl::StrReplaceAll(Escaped(description), {{"\\'", "'"}}));
}

Position ToPosition(const toml::source_position& at, uint32_t source) {
  return {source, at.line, at.column};
}

template <typename T>
std::string ToText(const T& value) {
  std::ostringstream out;
  out << value;
  return std::move(out).str();
}

// Takes the strings out of `node`.
Value Convert(toml::node& node, uint32_t source) {
  const Position at = ToPosition(node.source().begin, source);
  switch (node.type()) {
    case toml::node_type::table: {
      Value::Table members;
      toml::table& table = *node.as_table();
      members.reserve(table.size());
      for (auto&& [key, value] : table) {
        members.push_back({std::string(key.str()),
                           ToPosition(key.source().begin, source),
                           Convert(value, source)});
      }
      return Value(std::move(members), at);
    }
    case toml::node_type::array: {
      Value::Array elements;
      toml::array& array = *node.as_array();
      elements.reserve(array.size());
      for (toml::node& element : array) {
        elements.push_back(Convert(element, source));
      }
      return Value(std::move(elements), at);
    }
    case toml::node_type::string:
      return Value(std::move(node.as_string()->get()), at);
    case toml::node_type::integer:
      return Value(static_cast<int64_t>(node.as_integer()->get()), at);
    case toml::node_type::floating_point:
      return Value(node.as_floating_point()->get(), at);
    case toml::node_type::boolean:
      return Value(node.as_boolean()->get(), at);
    case toml::node_type::date:
      return Value::DateTime(ToText(node.as_date()->get()), at);
    case toml::node_type::time:
      return Value::DateTime(ToText(node.as_time()->get()), at);
    case toml::node_type::date_time:
      return Value::DateTime(ToText(node.as_date_time()->get()), at);
    case toml::node_type::none:
      break;
  }
  return Value::Null(at);
}

// Overwrites what the error is in with blanks, so that every other position
// stays. False if nothing is left to try.
bool BlankOut(const Outline& outline, uint32_t line, std::string& text) {
  const std::vector<Statement>& all = outline.statements;
  // The last statement that begins at or before the line.
  auto after = std::upper_bound(all.begin(), all.end(), line,
                                [](uint32_t wanted, const Statement& s) {
                                  return wanted < s.first_line;
                                });
  if (after == all.begin()) return false;
  const auto found = after - 1;
  size_t end = found->end;
  if (found->is_header) {
    const auto next = std::find_if(
        after, all.end(), [](const Statement& s) { return s.is_header; });
    end = next == all.end() ? text.size() : next->begin;
  }
  bool has_changed = false;
  for (size_t i = found->begin; i < end; ++i) {
    if (text[i] == '\n' || text[i] == ' ') continue;
    text[i] = ' ';
    has_changed = true;
  }
  return has_changed;
}

}  // namespace

ParsedText ParseTomlText(absl::string_view original, uint32_t source) {
  ParsedText result;
  std::string text(original);
  while (true) {
    const Outline outline = OutlineScanner(text).Scan();
    std::optional<TextError> error;
    if (outline.long_key) {
      error = TextError{*outline.long_key,
                        absl::StrCat("TOML: a key of more than ",
                                     kMaxTomlKeyParts, " parts")};
    } else {
      try {
        toml::table table =
            toml::parse(std::string_view(text), std::string_view());
        result.value = Convert(table, source);
        break;
      } catch (const toml::parse_error& thrown) {
        error = TextError{ToPosition(thrown.source().begin, source),
                          Message(ToAbsl(thrown.description()))};
      } catch (const std::exception& thrown) {
        result.errors.push_back({{source, 1, 1}, Message(thrown.what())});
        break;
      }
    }
    error->at.source = source;
    result.errors.push_back(*std::move(error));
    if (result.errors.size() >= kMaxTomlErrors ||
        !BlankOut(outline, result.errors.back().at.line, text)) {
      break;
    }
  }
  std::sort(result.errors.begin(), result.errors.end(),
            [](const TextError& a, const TextError& b) { return a.at < b.at; });
  return result;
}

}  // namespace vmsilo
