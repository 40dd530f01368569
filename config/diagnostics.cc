#include "config/diagnostics.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace vmsilo::config {
namespace {

// Longer words are no typing errors of ours, and the comparison is quadratic.
constexpr size_t kMaxComparedWord = 64;

// Optimal string alignment distance, the case ignored.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  const auto same = [](char x, char y) {
    return absl::ascii_tolower(x) == absl::ascii_tolower(y);
  };
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1,
                         last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
          same(a[i - 2], b[j - 1])) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

absl::string_view ToString(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNote:
      return "note";
  }
  return "error";
}

std::string ToString(const Diagnostic& diagnostic) {
  std::string out;
  if (!diagnostic.file.empty()) {
    absl::StrAppend(&out, diagnostic.file, ":");
    if (diagnostic.line > 0) {
      absl::StrAppend(&out, diagnostic.line, ":", diagnostic.column, ":");
    }
    out += ' ';
  }
  absl::StrAppend(&out, ToString(diagnostic.severity), ": ");
  if (!diagnostic.key.empty()) absl::StrAppend(&out, diagnostic.key, ": ");
  absl::StrAppend(&out, diagnostic.message);
  return out;
}

void DiagnosticSink::Add(Severity severity, Position at, std::string key,
                         std::string message) {
  if (severity == Severity::kError) has_errors_ = true;
  if (is_full()) {
    ++dropped_;
    return;
  }
  entries_.push_back(
      {.at = at,
       .diagnostic = {.severity = severity,
                      .file = at.source < files_.size() && at.line > 0
                                  ? files_[at.source]
                                  : "",
                      .line = at.line,
                      .column = at.column,
                      .key = std::move(key),
                      .message = std::move(message)}});
}

void DiagnosticSink::AddForFile(Severity severity, uint32_t source,
                                std::string message) {
  Add(severity, {source, 0, 0}, "", std::move(message));
  if (!entries_.empty() && dropped_ == 0 && source < files_.size()) {
    entries_.back().diagnostic.file = files_[source];
  }
}

std::vector<Diagnostic> DiagnosticSink::Take() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.at < b.at; });
  std::vector<Diagnostic> out;
  out.reserve(entries_.size() + 1);
  for (Entry& entry : entries_) out.push_back(std::move(entry.diagnostic));
  entries_.clear();
  if (dropped_ > 0) {
    out.push_back({.severity = Severity::kError,
                   .message = absl::StrCat("and ", dropped_, " more")});
  }
  return out;
}

absl::string_view Nearest(absl::string_view word,
                          const std::vector<absl::string_view>& candidates) {
  if (word.size() > kMaxComparedWord) return "";
  absl::string_view best;
  size_t best_distance = std::max<size_t>(word.size() / 3, 1) + 1;
  for (absl::string_view candidate : candidates) {
    // Every letter would have to change.
    if (candidate.size() <= 1 && candidate != word) continue;
    const size_t distance = Distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace vmsilo::config
