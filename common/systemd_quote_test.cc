#include "common/systemd_quote.h"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::ElementsAre;

// What systemd makes of a line, written from systemd.syntax(7) and
// systemd.service(5): words, then specifiers, then variables.
class Reader {
 public:
  Reader(absl::string_view line, bool unescapes)
      : line_(line), unescapes_(unescapes) {}

  // The next word, or nullopt at the end of the line.
  std::optional<std::string> Next() {
    while (at_ < line_.size() && IsBlank(line_[at_])) ++at_;
    if (at_ >= line_.size()) return std::nullopt;
    std::string word;
    char quote = 0;
    for (; at_ < line_.size(); ++at_) {
      const char c = line_[at_];
      if (quote != 0 && c == quote) {
        quote = 0;
      } else if (quote == 0 && (c == '"' || c == '\'')) {
        quote = c;
      } else if (quote == 0 && IsBlank(c)) {
        break;
      } else if (c == '\\') {
        ++at_;
        Unescape(&word);
      } else {
        word.push_back(c);
      }
    }
    EXPECT_EQ(quote, 0) << line_;
    return word;
  }

 private:
  static bool IsBlank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
  }

  void Unescape(std::string* word) {
    if (at_ >= line_.size()) {
      ADD_FAILURE() << "the line ends in a backslash: " << line_;
      return;
    }
    const char c = line_[at_];
    if (!unescapes_ || c == '\\' || c == '"' || c == '\'') {
      word->push_back(c);
    } else if (c == 'n') {
      word->push_back('\n');
    } else if (c == 't') {
      word->push_back('\t');
    } else if (c == 'r') {
      word->push_back('\r');
    } else if (c == 'x') {
      word->push_back(static_cast<char>(
          std::stoi(std::string(line_.substr(at_ + 1, 2)), nullptr, 16)));
      at_ += 2;
    } else {
      ADD_FAILURE() << "unknown escape in " << line_;
    }
  }

  absl::string_view line_;
  bool unescapes_;
  size_t at_ = 0;
};

// `%%` is a percent sign; any other specifier is a leak.
std::string ExpandSpecifiers(absl::string_view word) {
  std::string out;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '%') {
      ++i;
      EXPECT_TRUE(i < word.size() && word[i] == '%') << word;
    }
    if (i < word.size()) out.push_back(word[i]);
  }
  return out;
}

std::string ExpandVariables(absl::string_view word) {
  std::string out;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '$') {
      ++i;
      EXPECT_TRUE(i < word.size() && word[i] == '$') << word;
    }
    if (i < word.size()) out.push_back(word[i]);
  }
  return out;
}

std::vector<std::string> ReadExec(absl::string_view line) {
  EXPECT_EQ(line.find('\n'), absl::string_view::npos);
  for (const char c : line) {
    EXPECT_TRUE(c >= 0x20 && c < 0x7f) << "not printable ASCII: " << line;
  }
  Reader reader(line, /*unescapes=*/true);
  std::vector<std::string> words;
  while (auto word = reader.Next()) {
    words.push_back(ExpandVariables(ExpandSpecifiers(*word)));
  }
  return words;
}

// Bytes that have a meaning somewhere, more often than others.
std::string RandomValue(std::mt19937& random) {
  constexpr absl::string_view kSpecial =
      "\"'\\%$;{} \t\n\rnx0#=-@!:|&`*~\xc3\xa9";
  std::string out;
  const size_t size = random() % 12;
  for (size_t i = 0; i < size; ++i) {
    out.push_back(random() % 4 != 0 ? kSpecial[random() % kSpecial.size()]
                                    : static_cast<char>(1 + random() % 255));
  }
  return out;
}

TEST(QuoteExecArgumentTest, LeavesPlainWordsAlone) {
  EXPECT_EQ(QuoteExecArgument("--size=10G"), "--size=10G");
  EXPECT_EQ(QuoteExecArgument("/run/vmsilo/a-b_c/x.socket"),
            "/run/vmsilo/a-b_c/x.socket");
}

TEST(QuoteExecArgumentTest, Examples) {
  EXPECT_EQ(QuoteExecArgument(""), "\"\"");
  EXPECT_EQ(QuoteExecArgument(";"), "\";\"");
  EXPECT_EQ(QuoteExecArgument("a b"), "\"a b\"");
  EXPECT_EQ(QuoteExecArgument("100%"), "\"100%%\"");
  EXPECT_EQ(QuoteExecArgument("$HOME"), "\"$$HOME\"");
  EXPECT_EQ(QuoteExecArgument("a\nb\x01\xff"), "\"a\\nb\\x01\\xff\"");
  EXPECT_EQ(QuoteExecArgument("say \"hi\\\""), "\"say \\\"hi\\\\\\\"\"");
}

TEST(QuoteExecArgumentTest, EveryByteComesBack) {
  for (int c = 1; c < 256; ++c) {
    const std::string value(1, static_cast<char>(c));
    EXPECT_THAT(ReadExec(QuoteExecArgument(value)), ElementsAre(value)) << c;
    const std::string inside = absl::StrCat("a", value, "1");
    EXPECT_THAT(ReadExec(QuoteExecArgument(inside)), ElementsAre(inside)) << c;
  }
}

TEST(QuoteExecArgumentTest, RandomLinesComeBack) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> values(1 + random() % 4);
    std::string line;
    for (std::string& value : values) {
      value = RandomValue(random);
      absl::StrAppend(&line, line.empty() ? "" : " ", QuoteExecArgument(value));
    }
    ASSERT_EQ(ReadExec(line), values) << line;
  }
}

TEST(QuoteExecProgramTest, TakesWhatSystemdTakes) {
  EXPECT_EQ(QuoteExecProgram("/usr/bin/x"), "/usr/bin/x");
  EXPECT_EQ(QuoteExecProgram("/opt/my tools/100%/$x"),
            "\"/opt/my tools/100%%/$x\"");
  EXPECT_EQ(QuoteExecProgram("usr/bin/x"), std::nullopt);
  EXPECT_EQ(QuoteExecProgram(""), std::nullopt);
  EXPECT_EQ(QuoteExecProgram("/a\nb"), std::nullopt);
  EXPECT_EQ(QuoteExecProgram("/a'b"), std::nullopt);
  EXPECT_EQ(QuoteExecProgram("/a\\b"), std::nullopt);
  EXPECT_EQ(QuoteExecProgram("/\xff"), std::nullopt);
}

TEST(QuoteEnvironmentTest, DollarsMeanNothing) {
  EXPECT_EQ(QuoteEnvironment("A", "b"), "A=b");
  EXPECT_EQ(QuoteEnvironment("A", "$x 5%"), "\"A=$x 5%%\"");
  EXPECT_EQ(QuoteEnvironment("A", "\x01"), std::nullopt);
  EXPECT_EQ(QuoteEnvironment("A", "\xff"), std::nullopt);
}

TEST(QuoteEnvironmentTest, RandomValuesComeBack) {
  std::mt19937 random(2);
  int count = 0;
  while (count < 5000) {
    const std::string value = RandomValue(random);
    const std::optional<std::string> quoted = QuoteEnvironment("K", value);
    if (!quoted.has_value()) continue;
    ++count;
    Reader reader(*quoted, /*unescapes=*/true);
    ASSERT_EQ(ExpandSpecifiers(*reader.Next()), absl::StrCat("K=", value));
    ASSERT_EQ(reader.Next(), std::nullopt);
  }
}

TEST(QuotePathTest, RandomPathsComeBack) {
  std::mt19937 random(3);
  int count = 0;
  while (count < 5000) {
    const std::string value = absl::StrCat("/", RandomValue(random));
    const std::optional<std::string> quoted = QuotePath(value);
    if (!quoted.has_value()) continue;
    ++count;
    Reader reader(*quoted, /*unescapes=*/false);
    ASSERT_EQ(ExpandSpecifiers(*reader.Next()), value);
    ASSERT_EQ(reader.Next(), std::nullopt);
    if (value.find(':') != std::string::npos) {
      EXPECT_NE((*quoted)[0], '/') << "a colon must be within quotes";
    }
  }
}

TEST(QuotePathTest, RefusesWhatHasNoSpelling) {
  EXPECT_EQ(QuotePath("relative"), std::nullopt);
  EXPECT_EQ(QuotePath("/a'b\"c"), std::nullopt);
  EXPECT_EQ(QuotePath("/a\tb"), std::nullopt);
  EXPECT_EQ(QuotePath("/a\xc3"), std::nullopt);
  EXPECT_EQ(QuotePath("/a\"b"), "'/a\"b'");
}

TEST(PlainValueTest, KeepsOrRefuses) {
  EXPECT_EQ(PlainValue("/srv/a b/50%"), "/srv/a b/50%%");
  EXPECT_EQ(PlainValue("/srv/a "), std::nullopt);
  EXPECT_EQ(PlainValue("/srv/a\\"), std::nullopt);
  EXPECT_EQ(PlainValue("/srv/a\nb"), std::nullopt);
  EXPECT_EQ(PlainValue("/srv/\xed\xa0\x80"), std::nullopt);  // A surrogate.
  EXPECT_EQ(PlainValue("/srv/\xc0\xaf"), std::nullopt);      // Overlong.
  EXPECT_EQ(PlainValue("/srv/\xf4\x90\x80\x80"), std::nullopt);
  EXPECT_EQ(PlainValue("/srv/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            "/srv/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(DescriptionValueTest, AlwaysGivesOneLine) {
  EXPECT_EQ(DescriptionValue(" 5% of\nall \\"), "5%% of?all /");
  EXPECT_EQ(DescriptionValue("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(DescriptionValue("caf\xe9"), "caf?");
}

TEST(QuoteTmpfilesTest, MeansTheSameWithAndWithoutEscapes) {
  EXPECT_EQ(QuoteTmpfiles("/run/x"), "/run/x");
  EXPECT_EQ(QuoteTmpfiles("/srv/a b%"), "\"/srv/a b%%\"");
  EXPECT_EQ(QuoteTmpfiles("/srv/a\nb"), std::nullopt);
  EXPECT_EQ(QuoteTmpfiles("/srv/\xff"), std::nullopt);
  EXPECT_EQ(QuoteTmpfiles("srv"), std::nullopt);
  std::mt19937 random(4);
  int count = 0;
  while (count < 5000) {
    const std::string value = absl::StrCat("/", RandomValue(random));
    const std::optional<std::string> quoted = QuoteTmpfiles(value);
    if (!quoted.has_value()) continue;
    ++count;
    for (const bool unescapes : {false, true}) {
      Reader reader(*quoted, unescapes);
      ASSERT_EQ(ExpandSpecifiers(*reader.Next()), value);
      ASSERT_EQ(reader.Next(), std::nullopt);
    }
  }
}

// What systemd-tmpfiles makes of the rest of a line.
std::string ReadTmpfilesContent(absl::string_view rest) {
  // Between quotes the reader keeps blanks, and quotes are only a limit to it.
  std::string line = "\"";
  for (const char c : rest) {
    if (c == '"') line.push_back('\\');
    line.push_back(c);
  }
  line.push_back('"');
  Reader reader(line, /*unescapes=*/true);
  const std::string text = ExpandSpecifiers(*reader.Next());
  EXPECT_EQ(reader.Next(), std::nullopt);
  return text;
}

TEST(QuoteTmpfilesContentTest, ComesBackFromTheRestOfALine) {
  EXPECT_EQ(QuoteTmpfilesContent("{\"a\":\"100 %\"}"), "{\"a\":\"100 %%\"}");
  EXPECT_EQ(QuoteTmpfilesContent("a\\\n"), "a\\\\\\n");
  for (const char* text : {"", "-", " a", "\xff"}) {
    EXPECT_EQ(QuoteTmpfilesContent(text), std::nullopt) << text;
  }
  std::mt19937 random(5);
  int count = 0;
  while (count < 5000) {
    const std::string value = RandomValue(random);
    const std::optional<std::string> quoted = QuoteTmpfilesContent(value);
    if (!quoted.has_value()) continue;
    ++count;
    EXPECT_EQ(quoted->find('\n'), std::string::npos);
    ASSERT_EQ(ReadTmpfilesContent(*quoted), value);
  }
}

TEST(QuoteInputTextTest, EscapesButNeverQuotes) {
  EXPECT_EQ(QuoteInputText("d /run/x 0755 root root -"),
            "d /run/x 0755 root root -");
  EXPECT_EQ(QuoteInputText("a \"%b\" \\"), "a \"%%b\" \\\\");
  EXPECT_EQ(QuoteInputText(" a "), "\\x20a\\x20");
}

TEST(EscapeUnitNameTest, MatchesSystemdEscape) {
  EXPECT_EQ(EscapeUnitName("work:1-3"), "work:1\\x2d3");
  EXPECT_EQ(EscapeUnitName(".a/b"), "\\x2ea-b");
  EXPECT_EQ(EscapeUnitPath("/sys/subsystem/net/devices/br-a"),
            "sys-subsystem-net-devices-br\\x2da");
  EXPECT_EQ(EscapeUnitPath("//a//b/"), "a-b");
  EXPECT_EQ(EscapeUnitPath("/"), "-");
}

}  // namespace
}  // namespace vmsilo
