// Compares the dependency table of architecture.md with the build graph: the
// edges between packages, and from packages to libraries, must be the same.

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/testing/process.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

// Package -> packages and "@libraries" that it depends on.
using Graph = std::map<std::string, std::set<std::string>>;

std::string ReadRunfile(absl::string_view path) {
  std::ifstream file(Runfile(path), std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

// "//hypervisor/qemu:client" -> "hypervisor", "@abseil//:time" -> "@abseil".
std::string PackageOf(absl::string_view label) {
  label = absl::StripPrefix(label, "@@");
  if (absl::StartsWith(label, "@")) {
    return std::string(label.substr(0, label.find('/')));
  }
  label = absl::StripPrefix(label, "//");
  return std::string(label.substr(0, label.find_first_of("/:")));
}

// `bazel query --output=graph`: lines such as `  "//a:x" -> "//b:y"`.
Graph GraphFromQuery(absl::string_view dot) {
  Graph graph;
  for (const absl::string_view line : absl::StrSplit(dot, '\n')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, '"');
    if (parts.size() < 2) continue;
    const std::string from = PackageOf(parts[1]);
    // Rules and tools of Bazel itself are nobody's dependency.
    if (absl::StartsWith(from, "@") || from == "bazel") continue;
    std::set<std::string>& uses = graph[from];
    if (parts.size() < 4) continue;
    const std::string to = PackageOf(parts[3]);
    if (to == from || to == "bazel" || absl::StartsWith(to, "@bazel_tools")) {
      continue;
    }
    uses.insert(to);
  }
  return graph;
}

Graph GraphFromTable(absl::string_view text) {
  Graph graph;
  bool in_table = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "| package | uses | libraries |")) {
      in_table = true;
      continue;
    }
    if (!in_table || absl::StartsWith(line, "| ---")) continue;
    if (!absl::StartsWith(line, "|")) break;
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() != 5) {
      ADD_FAILURE() << "not three columns: " << line;
      continue;
    }
    const std::string package(absl::StripAsciiWhitespace(cells[1]));
    std::set<std::string>& uses = graph[package];
    for (const absl::string_view name :
         absl::StrSplit(cells[2], absl::ByAnyChar(", "), absl::SkipEmpty())) {
      uses.emplace(name);
    }
    for (const absl::string_view name :
         absl::StrSplit(cells[3], absl::ByAnyChar(", "), absl::SkipEmpty())) {
      uses.insert("@" + std::string(name));
    }
  }
  return graph;
}

TEST(ArchitectureTest, TheDependencyTableIsTheBuildGraph) {
  const Graph want = GraphFromQuery(ReadRunfile("docs/dependencies.dot"));
  const Graph have = GraphFromTable(ReadRunfile("docs/architecture.md"));
  ASSERT_FALSE(want.empty());
  ASSERT_FALSE(have.empty()) << "architecture.md has no dependency table";
  for (const auto& [package, uses] : want) {
    const auto row = have.find(package);
    if (row == have.end()) {
      ADD_FAILURE() << "no row for " << package;
      continue;
    }
    for (const std::string& use : uses) {
      EXPECT_TRUE(row->second.count(use))
          << package << " uses " << use << ", which its row does not say";
    }
    for (const std::string& use : row->second) {
      EXPECT_TRUE(uses.count(use))
          << package << " does not use " << use << ", which its row says";
    }
  }
  for (const auto& [package, uses] : have) {
    EXPECT_TRUE(want.count(package))
        << "a row for " << package << ", which no program uses";
  }
}

}  // namespace
}  // namespace vmsilo
