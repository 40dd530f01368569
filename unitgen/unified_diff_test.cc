#include "unitgen/unified_diff.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

struct Case {
  const char* name;
  absl::string_view before;
  absl::string_view after;
  absl::string_view want;
};

class UnifiedDiffTest : public testing::TestWithParam<Case> {};

TEST_P(UnifiedDiffTest, Table) {
  EXPECT_EQ(UnifiedDiff(GetParam().before, GetParam().after), GetParam().want);
}

// The expectations are what GNU diff -u 3.8 prints for the same texts.
INSTANTIATE_TEST_SUITE_P(
    All, UnifiedDiffTest,
    testing::ValuesIn(std::vector<Case>{
        {"Equal", "a\nb\n", "a\nb\n", ""},
        {"BothEmpty", "", "", ""},
        {"New", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
        {"Gone", "a\n", "", "@@ -1 +0,0 @@\n-a\n"},
        {"ChangedInTheMiddle", "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
         "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
         "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"},
        {"SixEqualLinesJoinTwoHunks", "a\n1\n2\n3\n4\n5\n6\nb\n",
         "A\n1\n2\n3\n4\n5\n6\nB\n",
         "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
        {"SevenEqualLinesSeparateThem", "a\n1\n2\n3\n4\n5\n6\n7\nb\n",
         "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
         "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
         "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
        {"NoNewlineAtTheEnd", "a", "a\n",
         "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
    }),
    [](const auto& test) { return std::string(test.param.name); });

// What patch(1) does, for well-formed hunks.
std::string Apply(absl::string_view before, absl::string_view diff) {
  std::vector<std::string> lines = absl::StrSplit(before, '\n');
  std::string out;
  size_t at = 0;
  for (absl::string_view line : absl::StrSplit(diff, '\n')) {
    if (line.substr(0, 2) == "@@") {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      const std::vector<std::string> range =
          absl::StrSplit(words[1].substr(1), ',');
      size_t first = 0;
      EXPECT_TRUE(absl::SimpleAtoi(range[0], &first));
      if (range.size() == 1 || range[1] != "0") --first;
      while (at < first) absl::StrAppend(&out, lines[at++], "\n");
    } else if (!line.empty() && line[0] == '+') {
      absl::StrAppend(&out, line.substr(1), "\n");
    } else if (!line.empty()) {
      EXPECT_EQ(line.substr(1), lines[at]);
      if (line[0] == ' ') absl::StrAppend(&out, lines[at], "\n");
      ++at;
    }
  }
  while (at + 1 < lines.size()) absl::StrAppend(&out, lines[at++], "\n");
  return out;
}

TEST(UnifiedDiffPropertyTest, ApplyingADiffGivesTheOtherText) {
  std::mt19937 random(20);  // a fixed seed: the same texts in every run
  for (int round = 0; round < 2000; ++round) {
    std::string texts[2];
    for (std::string& text : texts) {
      const unsigned count = random() % 30;
      for (unsigned i = 0; i < count; ++i) {
        absl::StrAppend(&text, random() % 4, "\n");
      }
    }
    const std::string diff = UnifiedDiff(texts[0], texts[1]);
    ASSERT_EQ(Apply(texts[0], diff), texts[1]) << texts[0] << "--\n" << diff;
  }
}

TEST(UnifiedDiffPropertyTest, TextsThatDifferTooMuchAreReplacedWhole) {
  std::string before;
  std::string after;
  for (int i = 0; i <= kMaxDiffLines; ++i) {
    absl::StrAppend(&before, "b", i, "\n");
    absl::StrAppend(&after, "a", i, "\n");
  }
  EXPECT_EQ(Apply(before, UnifiedDiff(before, after)), after);
}

}  // namespace
}  // namespace vmsilo::unitgen
