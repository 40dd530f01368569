#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/value.h"

namespace vmsilo::config {

enum class Severity {
  // Nothing can be generated from this configuration.
  kError,
  // It works, but not all of it.
  kWarning,
  // Accepted for compatibility, without an effect.
  kNote,
};

absl::string_view ToString(Severity severity);

// Something to tell the person who wrote the configuration.
struct Diagnostic {
  Severity severity = Severity::kError;
  // Empty if it is about no file in particular.
  std::string file;
  // From 1; 0 if it is about a whole file.
  uint32_t line = 0;
  uint32_t column = 0;
  // The key's path, such as `vms.work.memory`; empty for syntax errors.
  std::string key;
  // What was expected, what was found, and what to do.
  std::string message;

  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

// "FILE:LINE:COLUMN: error: KEY: MESSAGE", without a line end.
std::string ToString(const Diagnostic& diagnostic);

// A hostile file could have millions of errors; nobody reads more than this.
inline constexpr size_t kMaxDiagnostics = 200;

// Collects diagnostics while positions still have numbers for files.
class DiagnosticSink {
 public:
  // `files` are the names that Position::source counts.
  explicit DiagnosticSink(std::vector<std::string> files)
      : files_(std::move(files)) {}

  void Add(Severity severity, Position at, std::string key,
           std::string message);
  // About a whole file, by number.
  void AddForFile(Severity severity, uint32_t source, std::string message);

  bool has_errors() const { return has_errors_; }
  // Further ones are counted, not kept: composing their text is in vain.
  bool is_full() const { return entries_.size() >= kMaxDiagnostics; }
  const std::vector<std::string>& files() const { return files_; }

  // In the order of the files, then of the lines.
  std::vector<Diagnostic> Take();

 private:
  struct Entry {
    Position at;
    Diagnostic diagnostic;
  };

  std::vector<std::string> files_;
  std::vector<Entry> entries_;
  size_t dropped_ = 0;
  bool has_errors_ = false;
};

// The candidate that was probably meant, or "" if none is near: the fewest
// insertions, deletions, replacements and swaps, the case ignored. At most a
// third of the letters may differ.
absl::string_view Nearest(absl::string_view word,
                          const std::vector<absl::string_view>& candidates);

}  // namespace vmsilo::config
