#include "cli/progress_line.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::cli {
namespace {

// Erases from the cursor to the end of the line.
constexpr absl::string_view kErase = "\x1b[K";

// Best effort: what is nice to see is no loss otherwise.
void Print(int fd, const std::string& text) {
  (void)!write(fd, text.data(), text.size());
}

}  // namespace

ProgressLine::ProgressLine(int fd, bool is_wanted)
    : fd_(fd), is_enabled_(is_wanted && isatty(fd) == 1) {}

void ProgressLine::Show(absl::string_view text) {
  if (!is_enabled_) return;
  Print(fd_, absl::StrCat("\r", text, kErase));
  is_shown_ = true;
}

void ProgressLine::Clear() {
  if (is_shown_) Print(fd_, absl::StrCat("\r", kErase));
  is_shown_ = false;
}

}  // namespace vmsilo::cli
