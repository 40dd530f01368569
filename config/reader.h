#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/value.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/schema.h"

namespace vmsilo::config {

// "vms.work" + "memory" -> "vms.work.memory"; a key that TOML would have to
// quote is quoted.
std::string JoinKey(absl::string_view parent, absl::string_view key);

// Walks through a tree of values: knows where it is, and reports.
class Reader {
 public:
  explicit Reader(DiagnosticSink* sink) : sink_(sink) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // While it lives, the reader is at a key, or at an element of a list.
  class Step {
   public:
    Step(Reader& reader, absl::string_view key) : reader_(reader) {
      reader.steps_.push_back({key, 0});
    }
    Step(Reader& reader, size_t index) : reader_(reader) {
      reader.steps_.push_back({{}, index});
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { reader_.steps_.pop_back(); }

   private:
    Reader& reader_;
  };

  std::string path() const;

  void Error(Position at, std::string message);
  // Always false, so that a codec can return it.
  bool Expected(const Value& found, absl::string_view expected);

  // Reads the options of a table into `object`, and complains of other keys.
  bool ReadTable(const TableSchema& schema, const Value& value, void* object);

 private:
  struct Segment {
    // Without data: an index.
    absl::string_view key;
    size_t index;
  };

  void UnknownKey(const TableSchema& schema, const Value::Member& member);
  void NoEffect(const Option& option, const Value::Member& member);

  DiagnosticSink* sink_;
  std::vector<Segment> steps_;
  // Options whose lack of effect has been noted.
  std::vector<const Option*> noted_;
};

}  // namespace vmsilo::config
