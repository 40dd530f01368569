#pragma once

#include <string>
#include <vector>

// Rows of text under headings, for terminals and for Markdown.
namespace vmsilo::balloond::sim {

class Table {
 public:
  explicit Table(std::vector<std::string> headings);

  // As many cells as there are headings.
  void AddRow(std::vector<std::string> cells);

  // The first column to the left, the others to the right.
  std::string Text() const;
  std::string Markdown() const;

 private:
  std::vector<size_t> Widths() const;

  std::vector<std::vector<std::string>> rows_;  // the headings first
};

}  // namespace vmsilo::balloond::sim
