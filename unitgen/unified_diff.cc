#include "unitgen/unified_diff.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {
namespace {

constexpr size_t kContext = 3;

// One line of the result: kept, removed from `before`, or added by `after`.
struct Edit {
  char mark = ' ';
  absl::string_view line;  // with its line break, if it has one
};

std::vector<absl::string_view> Lines(absl::string_view text) {
  std::vector<absl::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const size_t size = end == absl::string_view::npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

// The shortest list of edits, by Myers' greedy algorithm ("An O(ND) Difference
// Algorithm and Its Variations", 1986): for each number of changes d, how far
// each diagonal can be followed; then back along the recorded rounds.
std::vector<Edit> Edits(const std::vector<absl::string_view>& before,
                        const std::vector<absl::string_view>& after) {
  const int n = static_cast<int>(before.size());
  const int m = static_cast<int>(after.size());
  const int limit = std::min(n + m, kMaxDiffLines);
  const int middle = limit + 1;
  std::vector<int> reach(2 * static_cast<size_t>(middle) + 1, 0);
  // Round d only looks at diagonals -d..d, so only those are kept.
  std::vector<std::vector<int>> rounds;
  bool found = false;
  for (int d = 0; d <= limit && !found; ++d) {
    rounds.emplace_back(reach.begin() + middle - d - 1,
                        reach.begin() + middle + d + 2);
    for (int k = -d; k <= d && !found; k += 2) {
      const bool down =
          k == -d || (k != d && reach[middle + k - 1] < reach[middle + k + 1]);
      int x = down ? reach[middle + k + 1] : reach[middle + k - 1] + 1;
      while (x < n && x - k < m && x - k >= 0 && before[x] == after[x - k]) ++x;
      reach[middle + k] = x;
      found = x >= n && x - k >= m;
    }
  }

  std::vector<Edit> edits;
  if (!found) {
    for (const absl::string_view line : before) edits.push_back({'-', line});
    for (const absl::string_view line : after) edits.push_back({'+', line});
    return edits;
  }
  int x = n;
  int y = m;
  for (int d = static_cast<int>(rounds.size()) - 1; d >= 0; --d) {
    const std::vector<int>& was = rounds[d];
    const int centre = d + 1;
    const int k = x - y;
    const bool down =
        k == -d || (k != d && was[centre + k - 1] < was[centre + k + 1]);
    const int from_k = down ? k + 1 : k - 1;
    const int from_x = d == 0 ? 0 : was[centre + from_k];
    const int from_y = d == 0 ? 0 : from_x - from_k;
    while (x > from_x && y > from_y) {
      edits.push_back({' ', before[x - 1]});
      --x;
      --y;
    }
    if (d == 0) break;
    if (down) {
      edits.push_back({'+', after[y - 1]});
      --y;
    } else {
      edits.push_back({'-', before[x - 1]});
      --x;
    }
  }
  std::reverse(edits.begin(), edits.end());
  return edits;
}

// diff(1) counts from 1, and names the line before an empty range.
std::string Range(size_t first, size_t count) {
  if (count == 1) return absl::StrCat(first + 1);
  return absl::StrCat(count == 0 ? first : first + 1, ",", count);
}

}  // namespace

std::string UnifiedDiff(absl::string_view before, absl::string_view after) {
  if (before == after) return "";
  const std::vector<Edit> edits = Edits(Lines(before), Lines(after));
  std::string out;
  size_t old_line = 0;
  size_t new_line = 0;
  size_t at = 0;
  while (at < edits.size()) {
    size_t change = at;
    while (change < edits.size() && edits[change].mark == ' ') ++change;
    if (change == edits.size()) break;
    const size_t first = std::max(at, change - std::min(change, kContext));
    old_line += first - at;
    new_line += first - at;

    // The hunk ends where more than two contexts' worth of lines are equal.
    size_t last = change;
    for (size_t i = change; i < edits.size() && i <= last + 2 * kContext + 1;
         ++i) {
      if (edits[i].mark != ' ') last = i;
    }
    const size_t end = std::min(edits.size(), last + 1 + kContext);

    std::string body;
    size_t removed = 0;
    size_t added = 0;
    for (size_t i = first; i < end; ++i) {
      absl::StrAppend(&body, std::string(1, edits[i].mark), edits[i].line);
      if (edits[i].line.back() != '\n') {
        body += "\n\\ No newline at end of file\n";
      }
      removed += edits[i].mark != '+' ? 1 : 0;
      added += edits[i].mark != '-' ? 1 : 0;
    }
    absl::StrAppend(&out, "@@ -", Range(old_line, removed), " +",
                    Range(new_line, added), " @@\n", body);
    old_line += removed;
    new_line += added;
    at = end;
  }
  return out;
}

}  // namespace vmsilo::unitgen
