#include "cli/terminal_filter.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::TestWithParam;
using ::testing::ValuesIn;

struct Case {
  const char* name;
  std::string in;
  std::string want;
};

std::string Nul() { return std::string(1, '\0'); }

std::vector<Case> Cases() {
  return {
      {"Empty", "", ""},
      {"Text", "plain text\r\n\ttab\b\a", "plain text\r\n\ttab\b\a"},
      {"Utf8", "Grüße 漢字 🙂", "Grüße 漢字 🙂"},
      {"Colours", "\x1b[1;38;2;10;20;30mred\x1b[0m",
       "\x1b[1;38;2;10;20;30mred\x1b[0m"},
      {"ColonColours", "\x1b[4:3m", "\x1b[4:3m"},
      {"CursorAndErase", "\x1b[2J\x1b[H\x1b[3;4H\x1b[K\x1b[5A",
       "\x1b[2J\x1b[H\x1b[3;4H\x1b[K\x1b[5A"},
      {"LineDrawing", "\x1b(0lqk\x1b(B", "\x1b(0lqk\x1b(B"},
      {"ScreenModes", "\x1b[?1049h\x1b[?25l", "\x1b[?1049h\x1b[?25l"},
      {"MouseAndPaste", "\x1b[?1002;1006;2004h", "\x1b[?1002;1006;2004h"},
      {"KeepsKnownOfSeveralModes", "\x1b[?3;25;9999h", "\x1b[?25h"},
      {"DropsUnknownMode", "\x1b[?3h\x1b[?1034h", ""},
      {"DropsModeOverflow", "\x1b[?99999999999999999999h", ""},
      {"CursorShape", "\x1b[4 q", "\x1b[4 q"},
      {"SoftReset", "\x1b[!p", "\x1b[!p"},
      {"InsertMode", "\x1b[4hx\x1b[4l", "\x1b[4hx\x1b[4l"},
      {"DropsKeyboardLock", "\x1b[2h", ""},

      // Answered by the terminal, that is, typed into the host's shell.
      {"DropsEnquiry", "a\x05z", "az"},
      {"DropsDeviceAttributes", "\x1b[c\x1b[0c\x1b[>c\x1b[=c\x1bZ", ""},
      {"DropsStatusReport", "\x1b[5n\x1b[6n\x1b[?6n\x1b[?15n", ""},
      {"DropsModeRequest", "\x1b[?25$p\x1b[4$p", ""},
      {"DropsParameterRequest", "\x1b[x\x1b[1x", ""},
      {"DropsVersionRequest", "\x1b[>q\x1b[>0q", ""},
      {"DropsKeyboardQuery", "\x1b[?u\x1b[>1u\x1b[?4m", ""},
      {"DropsChecksum", "\x1b[1;1;1;1;1;1*y", ""},
      {"DropsWindowReports", "\x1b[21t\x1b[14t\x1b[18t", ""},
      {"DropsSettingRequest", "\x1bP$qm\x1b\\x", "x"},
      {"DropsTermcapRequest", "\x1bP+q544e\x1b\\x", "x"},
      {"DropsColourQuery", "\x1b]11;?\x1b\\x", "x"},
      {"DropsPrinting", "\x1b[5i\x1b[i", ""},

      // Clipboard, title, window.
      {"DropsTitle", "\x1b]0;owned\ax\x1b]2;t\x1b\\y", "xy"},
      {"DropsClipboard", "\x1b]52;c;ZWNobw==\ax", "x"},
      {"DropsLink", "\x1b]8;;http://x/\atext\x1b]8;;\a", "text"},
      {"DropsTitleStack", "\x1b[22;0;0t\x1b[23;0;0t", ""},
      {"DropsOtherStrings", "\x1b_a\x1b\\\x1b^b\x1b\\\x1bXc\x1b\\x", "x"},
      {"BellDoesNotEndOtherStrings", "\x1bPq\ahidden\x1b\\x", "x"},
      {"DropsCharsetSwitch", "\x1b%@\x1b%G\x1b F", ""},

      // C1, as characters and as stray bytes.
      {"C1IsEscape",
       "\xc2\x9b"
       "31mred\xc2\x9b"
       "6n",
       "\x1b[31mred"},
      {"C1String",
       "\xc2\x9d"
       "0;t\xc2\x9cx",
       "x"},
      {"StrayByteIsNoC1",
       "\x9b"
       "6n",
       "\xef\xbf\xbd"
       "6n"},
      {"Overlong", "\xc0\x9b[6n", "\xef\xbf\xbd\xef\xbf\xbd[6n"},
      {"Surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"CutCharacter",
       "\xe6\xbc"
       "x",
       "\xef\xbf\xbdx"},
      {"EscapeInCharacter", "\xe6\x1b[6nx", "\xef\xbf\xbdx"},

      // Tricks with the syntax.
      {"ControlInsideOfSequence", "\x1b[3\r1m", "\r\x1b[31m"},
      {"EscapeRestarts", "\x1b[\x1b[6n\x1b[31m", "\x1b[31m"},
      {"EscapeEscape", "\x1b\x1b]0;t\ax", "x"},
      {"EscapeInStringRestarts", "\x1b]0;t\x1b[31mx", "\x1b[31mx"},
      {"EscapeInStringThenString", "\x1b]0;t\x1b]52;c;eA==\ax", "x"},
      {"CancelEndsSequence",
       "\x1b[3\x18"
       "6n",
       "6n"},
      {"CancelEndsString", "\x1b]0;t\x1ax", "x"},
      {"PrefixInMidst", "\x1b[1?6n\x1b[0>c", ""},
      {"TwoPrefixes", "\x1b[??25h", ""},
      {"ParameterAfterIntermediate", "\x1b[ 4q", ""},
      {"HeldBack", "text\x1b[31", "text"},
      {"UnfinishedString", "text\x1b]0;never", "text"},
      {"TooLong", absl::StrCat("\x1b[", std::string(300, '1'), "mx"), "x"},
      {"TooManyIntermediates",
       absl::StrCat("\x1b", std::string(300, '('), "Bx"), "x"},
      {"Nul", absl::StrCat("a", Nul(), "b\x7f"), "ab"},
  };
}

class TerminalFilterTest : public TestWithParam<Case> {};

TEST_P(TerminalFilterTest, Table) {
  TerminalFilter filter;
  EXPECT_EQ(filter.Filter(GetParam().in), GetParam().want);
}

TEST_P(TerminalFilterTest, CutAtEveryByteGivesTheSame) {
  const std::string& in = GetParam().in;
  for (size_t cut = 0; cut <= in.size(); ++cut) {
    TerminalFilter filter;
    std::string out = filter.Filter(absl::string_view(in).substr(0, cut));
    out += filter.Filter(absl::string_view(in).substr(cut));
    EXPECT_EQ(out, GetParam().want) << "cut at " << cut;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TerminalFilterTest, ValuesIn(Cases()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

TEST(TerminalFilterResetTest, NothingToUndoAfterText) {
  TerminalFilter filter;
  filter.Filter("text\r\n\x1b[31mred\x1b[0m\x1b[?1049h\x1b[?1049l\x1b[?12h");
  EXPECT_EQ(filter.Reset(), "");
}

TEST(TerminalFilterResetTest, UndoesWhatIsStillOn) {
  TerminalFilter filter;
  filter.Filter("\x1b[?25l\x1b[?1003h\x1b[?1049h\x1b=\x1b(0\x1b[31m\x1b[2;5r");
  EXPECT_EQ(filter.Reset(),
            "\x1b[?25h\x1b[?1003l\x1b[?1049l\x1b"
            "7\x1b[r\x1b"
            "8\x1b>"
            "\x1b(B\x0f\x1b[0m");
}

TEST(TerminalFilterResetTest, ResetPassesItself) {
  TerminalFilter filter;
  filter.Filter(
      "\x1b[?25l\x1b[?7l\x1b[?1003;5;6h\x1b=\x1b(0\x1b[31m\x1b[2;5r\x1b[4h"
      "\x1b[2 q");
  const std::string reset = filter.Reset();
  EXPECT_EQ(TerminalFilter().Filter(reset), reset);
  EXPECT_EQ(filter.Filter(reset), reset);
}

}  // namespace
}  // namespace vmsilo::cli
