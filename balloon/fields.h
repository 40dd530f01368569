#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/value.h"

namespace vmsilo::balloon {

// Reads the members of a JSON table that another program has written. Members
// that nobody asks for are skipped: they are a later version's. The first that
// is not what it is to be makes all that follows absent.
class Fields {
 public:
  // `what` is for messages. `value` is borrowed.
  Fields(const Value& value, absl::string_view what);

  std::optional<int64_t> Count(absl::string_view key);  // not negative
  std::optional<double> Real(absl::string_view key);    // finite
  std::optional<bool> Bool(absl::string_view key);
  // Printable ASCII, `max` bytes at most.
  std::optional<std::string> Text(absl::string_view key, size_t max);
  const Value* Member(absl::string_view key);

  // The same for what has to be there.
  int64_t RequiredCount(absl::string_view key);
  std::string RequiredText(absl::string_view key, size_t max);

  // InvalidArgument, naming the member.
  const absl::Status& status() const { return status_; }

 private:
  void Fail(absl::string_view key, absl::string_view why);

  const Value& value_;
  std::string what_;
  absl::Status status_;
};

// Writes a table on one line.
class TableWriter {
 public:
  // At the end of `text`, which is borrowed.
  explicit TableWriter(std::string* text) : text_(text) { *text_ += '{'; }
  ~TableWriter() { *text_ += '}'; }
  TableWriter(const TableWriter&) = delete;
  TableWriter& operator=(const TableWriter&) = delete;

  void Count(absl::string_view key, int64_t value);
  void Real(absl::string_view key, double value);
  void Bool(absl::string_view key, bool value);
  void Text(absl::string_view key, absl::string_view value);
  // Nothing if it is absent.
  void Count(absl::string_view key, const std::optional<int64_t>& value) {
    if (value) Count(key, *value);
  }
  // What is written to the text next is the member's value.
  void Key(absl::string_view key);

 private:
  std::string* text_;
  bool is_first_ = true;
};

}  // namespace vmsilo::balloon
