#include "common/escape.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

TEST(EscapedTest, LeavesPrintableAsciiAlone) {
  EXPECT_EQ(Escaped("/run/vmsilo/work ~!\""), "/run/vmsilo/work ~!\"");
}

TEST(EscapedTest, ShowsEverythingElseAsEscapes) {
  EXPECT_EQ(Escaped("a\nb\tc"), "a\\nb\\tc");
  EXPECT_EQ(Escaped("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
  EXPECT_EQ(Escaped(absl::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Escaped("\xc3\xa4"), "\\xc3\\xa4");
  EXPECT_EQ(Escaped("it's \\"), "it\\'s \\\\");
}

TEST(EscapedTest, CutsAtTheLimitAndSaysSo) {
  EXPECT_EQ(Escaped("abc", 3), "abc");
  EXPECT_EQ(Escaped("abcd", 3), "abc...");
  EXPECT_EQ(Escaped(std::string(kMaxEscapedBytes + 1, 'x')).size(),
            kMaxEscapedBytes + 3);
}

TEST(EscapedTextTest, LeavesQuotesAndBackslashesAlone) {
  EXPECT_EQ(EscapedText("can't open '\\x1b'\n\x1b"),
            "can't open '\\x1b'\\n\\x1b");
  EXPECT_EQ(EscapedText("abcd", 3), "abc...");
}

TEST(QuotedTest, PutsQuotesAround) { EXPECT_EQ(Quoted("a'b"), "'a\\'b'"); }

}  // namespace
}  // namespace vmsilo
