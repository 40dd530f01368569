#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo::cli {

// One line on a terminal that is rewritten in place, and gone in the end.
// Nothing where `fd` is no terminal.
class ProgressLine {
 public:
  ProgressLine(int fd, bool is_wanted);
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  bool is_enabled() const { return is_enabled_; }
  void Show(absl::string_view text);
  void Clear();

 private:
  int fd_;
  bool is_enabled_;
  bool is_shown_ = false;
};

}  // namespace vmsilo::cli
