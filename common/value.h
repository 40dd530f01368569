#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

namespace vmsilo {

// A place in a text: which one (the caller numbers them), and the line and
// column, both from 1; columns count characters. Line 0 is "nowhere".
struct Position {
  uint32_t source = 0;
  uint32_t line = 0;
  uint32_t column = 0;

  friend auto operator<=>(const Position&, const Position&) = default;
};

// What JSON and TOML can both say, as one tree. Each value knows where it
// stood.
class Value {
 public:
  enum class Kind {
    kNull,  // JSON only
    kBool,
    kInteger,   // between -2^63 and 2^63-1
    kUnsigned,  // between 2^63 and 2^64-1; JSON only
    kReal,
    kString,
    kDateTime,  // TOML only; the text as TOML writes it
    kArray,
    kTable,
  };

  struct Member;
  using Array = std::vector<Value>;
  // By key, in byte order, without duplicates.
  using Table = std::vector<Member>;

  // Defined below Member, which the alternatives of the variant need whole.
  Value();
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();
  explicit Value(bool value, Position at = {});
  explicit Value(int64_t value, Position at = {});
  explicit Value(uint64_t value, Position at = {});
  explicit Value(double value, Position at = {});
  explicit Value(std::string value, Position at = {});
  explicit Value(Array value, Position at = {});
  // `members` may be in any order; see SortMembers() for duplicates.
  explicit Value(Table members, Position at = {});
  static Value Null(Position at = {});
  static Value DateTime(std::string text, Position at = {});

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_table() const { return kind() == Kind::kTable; }
  bool is_array() const { return kind() == Kind::kArray; }
  // "a table", "a string", …, for messages.
  absl::string_view KindName() const;

  // Null if the value is of another kind.
  const bool* AsBool() const { return std::get_if<bool>(&data_); }
  const int64_t* AsInteger() const { return std::get_if<int64_t>(&data_); }
  const uint64_t* AsUnsigned() const { return std::get_if<uint64_t>(&data_); }
  const double* AsReal() const { return std::get_if<double>(&data_); }
  const std::string* AsString() const {
    return std::get_if<std::string>(&data_);
  }
  const std::string* AsDateTime() const;
  const Array* AsArray() const { return std::get_if<Array>(&data_); }
  Array* AsArray() { return std::get_if<Array>(&data_); }
  const Table* AsTable() const { return std::get_if<Table>(&data_); }
  // Keep the order when you change a key or insert.
  Table* AsTable() { return std::get_if<Table>(&data_); }

  // The member of a table, or null if there is none or this is no table.
  const Member* FindMember(absl::string_view key) const;
  const Value* Find(absl::string_view key) const;

  const Position& at() const { return at_; }

  // Whether both say the same, wherever they say it.
  friend bool operator==(const Value& a, const Value& b);

 private:
  struct DateTimeText {
    std::string text;
    friend bool operator==(const DateTimeText&, const DateTimeText&) = default;
  };

  // In the order of Kind.
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string,
               DateTimeText, Array, Table>
      data_;
  Position at_;
};

struct Value::Member {
  std::string key;
  // Of the key, in its text.
  Position at;
  Value value;

  friend bool operator==(const Member& a, const Member& b) {
    return a.key == b.key && a.value == b.value;
  }
};

inline Value::Value() = default;
inline Value::Value(const Value&) = default;
inline Value::Value(Value&&) noexcept = default;
inline Value& Value::operator=(const Value&) = default;
inline Value& Value::operator=(Value&&) noexcept = default;
inline Value::~Value() = default;
inline Value::Value(bool value, Position at) : data_(value), at_(at) {}
inline Value::Value(int64_t value, Position at) : data_(value), at_(at) {}
inline Value::Value(uint64_t value, Position at) : data_(value), at_(at) {}
inline Value::Value(double value, Position at) : data_(value), at_(at) {}
inline Value::Value(std::string value, Position at)
    : data_(std::move(value)), at_(at) {}

// Sorts by key. Of several members with one key the first stays, and the
// others are returned, with where they stood.
Value::Table SortMembers(Value::Table& members);

// The member of a sorted table; end() if there is none.
Value::Table::const_iterator FindInTable(const Value::Table& table,
                                         absl::string_view key);

// Puts `over` on `base`: tables are merged key by key, everything else is
// replaced, its position too.
void MergeValue(Value& base, Value over);

// What a parser found wrong.
struct TextError {
  Position at;
  std::string message;
};

// The result of parsing one text.
struct ParsedText {
  // What could be made sense of, even with errors; absent if nothing.
  std::optional<Value> value;
  // In the order of the text.
  std::vector<TextError> errors;
};

}  // namespace vmsilo
