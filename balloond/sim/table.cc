#include "balloond/sim/table.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log.h"

namespace vmsilo::balloond::sim {
namespace {

// What of UTF-8 takes a place on the screen.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (c & '\xc0') != '\x80'; }));
}

std::string Padding(const std::string& text, size_t width) {
  return std::string(width - std::min(width, Width(text)), ' ');
}

}  // namespace

Table::Table(std::vector<std::string> headings) {
  rows_.push_back(std::move(headings));
}

void Table::AddRow(std::vector<std::string> cells) {
  CHECK(cells.size() == rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  return widths;
}

std::string Table::Text() const {
  const std::vector<size_t> widths = Widths();
  std::string text;
  for (const std::vector<std::string>& row : rows_) {
    absl::StrAppend(&text, row[0], Padding(row[0], widths[0]));
    for (size_t i = 1; i < row.size(); ++i) {
      absl::StrAppend(&text, "  ", Padding(row[i], widths[i]), row[i]);
    }
    text += '\n';
  }
  return text;
}

std::string Table::Markdown() const {
  const std::vector<size_t> widths = Widths();
  std::string text;
  for (size_t i = 0; i < rows_.size(); ++i) {
    for (size_t j = 0; j < rows_[i].size(); ++j) {
      absl::StrAppend(&text, "| ", rows_[i][j], Padding(rows_[i][j], widths[j]),
                      " ");
    }
    text += "|\n";
    if (i > 0) continue;
    for (size_t j = 0; j < widths.size(); ++j) {
      text += j == 0 ? "| --- " : "| ---: ";
    }
    text += "|\n";
  }
  return text;
}

}  // namespace vmsilo::balloond::sim
