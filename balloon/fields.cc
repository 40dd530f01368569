#include "balloon/fields.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/json.h"
#include "common/value.h"

namespace vmsilo::balloon {

Fields::Fields(const Value& value, absl::string_view what)
    : value_(value), what_(what) {
  if (value.is_table()) return;
  status_ = absl::InvalidArgumentError(
      absl::StrCat(what_, ": expected a table, found ", value.KindName()));
}

void Fields::Fail(absl::string_view key, absl::string_view why) {
  if (!status_.ok()) return;
  status_ =
      absl::InvalidArgumentError(absl::StrCat(what_, ".", key, ": ", why));
}

const Value* Fields::Member(absl::string_view key) {
  return status_.ok() ? value_.Find(key) : nullptr;
}

std::optional<int64_t> Fields::Count(absl::string_view key) {
  const Value* member = Member(key);
  if (member == nullptr) return std::nullopt;
  const int64_t* count = member->AsInteger();
  if (count == nullptr || *count < 0) {
    Fail(key, "expected a whole number from 0 to 2^63-1");
    return std::nullopt;
  }
  return *count;
}

std::optional<double> Fields::Real(absl::string_view key) {
  const Value* member = Member(key);
  if (member == nullptr) return std::nullopt;
  if (const int64_t* count = member->AsInteger()) {
    return static_cast<double>(*count);
  }
  const double* real = member->AsReal();
  if (real == nullptr || !std::isfinite(*real)) {
    Fail(key, "expected a number");
    return std::nullopt;
  }
  return *real;
}

std::optional<bool> Fields::Bool(absl::string_view key) {
  const Value* member = Member(key);
  if (member == nullptr) return std::nullopt;
  const bool* truth = member->AsBool();
  if (truth == nullptr) {
    Fail(key, "expected true or false");
    return std::nullopt;
  }
  return *truth;
}

std::optional<std::string> Fields::Text(absl::string_view key, size_t max) {
  const Value* member = Member(key);
  if (member == nullptr) return std::nullopt;
  const std::string* text = member->AsString();
  if (text == nullptr || text->size() > max ||
      !std::all_of(text->begin(), text->end(), [](char c) {
        return absl::ascii_isprint(static_cast<unsigned char>(c));
      })) {
    Fail(key, absl::StrCat("expected at most ", max, " printable characters"));
    return std::nullopt;
  }
  return *text;
}

int64_t Fields::RequiredCount(absl::string_view key) {
  const std::optional<int64_t> count = Count(key);
  if (!count) Fail(key, "missing");
  return count.value_or(0);
}

std::string Fields::RequiredText(absl::string_view key, size_t max) {
  std::optional<std::string> text = Text(key, max);
  if (!text) Fail(key, "missing");
  return text.value_or("");
}

void TableWriter::Key(absl::string_view key) {
  absl::StrAppend(text_, is_first_ ? "\"" : ",\"", key, "\":");
  is_first_ = false;
}

void TableWriter::Count(absl::string_view key, int64_t value) {
  Key(key);
  absl::StrAppend(text_, value);
}

void TableWriter::Real(absl::string_view key, double value) {
  Key(key);
  // JSON has nothing else for these.
  if (!std::isfinite(value)) value = 0;
  absl::StrAppendFormat(text_, "%.3f", value);
}

void TableWriter::Bool(absl::string_view key, bool value) {
  Key(key);
  absl::StrAppend(text_, value ? "true" : "false");
}

void TableWriter::Text(absl::string_view key, absl::string_view value) {
  Key(key);
  absl::StrAppend(text_, JsonString(value));
}

}  // namespace vmsilo::balloon
