#include "common/toml.h"

#include <string>
#include <vector>

#include "common/json.h"
#include "common/value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Repeat(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(ParseTomlTest, GivesTheSameTreeAsJson) {
  const ParsedText toml = ParseTomlText(R"(
user = "alice"
list = [1, 2.5, "x", [true]]
[vms.work]
memory = "2G"
gpu.wayland = true
tap = { name = 'a\b', "b c" = -1 }
[vms."a.b"]
text = """
one
two"""
)");
  ASSERT_THAT(toml.errors, IsEmpty());
  const ParsedText json = ParseJsonText(
      R"({"user":"alice","list":[1,2.5,"x",[true]],"vms":{"work":)"
      R"({"memory":"2G","gpu":{"wayland":true},"tap":{"name":"a\\b","b c":-1}},)"
      R"("a.b":{"text":"one\ntwo"}}})");
  ASSERT_THAT(json.errors, IsEmpty());
  EXPECT_EQ(*toml.value, *json.value);
}

TEST(ParseTomlTest, KnowsWhereThingsStand) {
  const ParsedText parsed =
      ParseTomlText("# c\n[a]\n  ä = \"x\" # c\nb.c = [ 1,\n 2 ]\n", 3);
  // A bare key is ASCII; that error, too, has its place.
  ASSERT_THAT(parsed.errors, SizeIs(1));
  EXPECT_EQ(parsed.errors[0].at, (Position{3, 3, 3}));
  const Value* a = parsed.value->Find("a");
  const Value::Member* c = a->Find("b")->FindMember("c");
  EXPECT_EQ(c->at, (Position{3, 4, 3}));
  EXPECT_EQ((*c->value.AsArray())[1].at(), (Position{3, 5, 2}));
}

TEST(ParseTomlTest, LettersBeyondAsciiAreNoWhiteSpace) {
  const ParsedText parsed =
      ParseTomlText("a = \"\"\"one \\\n  \u00fcber\"\"\"\n\u00fc = 1\n");
  ASSERT_THAT(parsed.errors, SizeIs(1));
  EXPECT_EQ(parsed.errors[0].at.line, 3u);
  EXPECT_EQ(*parsed.value->Find("a")->AsString(), "one \u00fcber");
}

TEST(ParseTomlTest, DatesAreAKindOfTheirOwn) {
  const ParsedText parsed = ParseTomlText("d = 1979-05-27T07:32:00Z\n");
  ASSERT_THAT(parsed.errors, IsEmpty());
  EXPECT_EQ(*parsed.value->Find("d")->AsDateTime(), "1979-05-27T07:32:00Z");
}

std::vector<uint32_t> ErrorLines(const ParsedText& parsed) {
  std::vector<uint32_t> lines;
  for (const TextError& error : parsed.errors) lines.push_back(error.at.line);
  return lines;
}

TEST(ParseTomlTest, FindsEverySyntaxErrorInOneRun) {
  const ParsedText parsed = ParseTomlText(R"(a = 1
a = 2
b = nonsense
c = 3
[t
d = 4
[u]
e = "unterminated
f = 99999999999999999999
g = 7
)");
  EXPECT_THAT(ErrorLines(parsed), ElementsAre(2, 3, 5, 8, 9));
  ASSERT_TRUE(parsed.value.has_value());
  EXPECT_EQ(ToJson(*parsed.value), R"({"a":1,"c":3,"u":{"g":7}})");
}

TEST(ParseTomlTest, DuplicatesOfTablesAndOfKeysAreErrors) {
  EXPECT_THAT(ErrorLines(ParseTomlText("[a]\nx=1\n[a]\ny=1\n[b]\nz=1\nz=2\n")),
              ElementsAre(3, 7));
}

TEST(ParseTomlTest, ABrokenValueOfSeveralLinesIsSkippedAsAWhole) {
  const ParsedText parsed = ParseTomlText(
      "a = [ 1,\n  \"\"\"\nx = 1 ] \"\"\", oops,\n 2 ]\nb = 2\nb = 3\n");
  EXPECT_THAT(ErrorLines(parsed), ElementsAre(3, 6));
  EXPECT_EQ(ToJson(*parsed.value), R"({"b":2})");
}

struct BadCase {
  const char* name;
  std::string text;
  const char* message;
};
class BadTomlTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadTomlTest, IsAnError) {
  const ParsedText parsed = ParseTomlText(GetParam().text);
  ASSERT_THAT(parsed.errors, testing::Not(IsEmpty()));
  EXPECT_GT(parsed.errors[0].at.line, 0u);
  EXPECT_THAT(parsed.errors[0].message, HasSubstr(GetParam().message));
}

// Long enough to overflow the stack of whoever recurses.
constexpr size_t kMany = 200000;

INSTANTIATE_TEST_SUITE_P(
    All, BadTomlTest,
    testing::ValuesIn(std::vector<BadCase>{
        {"InvalidUtf8", "a = \"\xff\"", ""},
        {"Nul", std::string("a = \"\0\"", 7), ""},
        {"DeepArray", "a = " + Repeat("[", kMany), "nested"},
        {"DeepInlineTable", "a = " + Repeat("{a=", kMany), "nested"},
        {"DeepKey", "a" + Repeat(".a", kMany) + " = 1", "16 parts"},
        {"DeepHeader", "[a" + Repeat(".a", kMany) + "]", "16 parts"},
        {"DeepSpacedKey", "a" + Repeat(" .\ta", kMany) + " = 1", "16 parts"},
        {"DeepQuotedKey", "a" + Repeat(".\"=\"", kMany) + " = 1", "16 parts"},
        {"DeepKeyAfterAString",
         "x = [ \"\"\"\n\"\"\", {a" + Repeat(".a", kMany) + " = 1}]",
         "16 parts"},
        {"DeepKeyAfterEscapes",
         "x = [ \"\\\"\", '\\', {a" + Repeat(".a", kMany) + " = 1}]",
         "16 parts"},
        {"DeepKeyAfterQuotesInAString",
         "x = [ \"\"\"a\"\"\"\"\", {a" + Repeat(".a", kMany) + " = 1}]",
         "16 parts"},
        {"OnlyOpening", Repeat("[", kMany), ""},
        {"OnlyQuotes", Repeat("\"", kMany), ""},
    }),
    [](const auto& test) { return test.param.name; });

TEST(ParseTomlTest, TakesTheLongestKeyAndTheGreatestDepth) {
  const std::string key = "a" + Repeat(".a", kMaxTomlKeyParts - 1);
  EXPECT_THAT(ParseTomlText("[" + key + "]\n" + key + " = 1").errors,
              IsEmpty());
  EXPECT_THAT(ErrorLines(ParseTomlText("x = 1\n" + key + ".a = 1")),
              ElementsAre(2));
  EXPECT_THAT(ParseTomlText("a = " + Repeat("[", kMaxTomlDepth) +
                            Repeat("]", kMaxTomlDepth))
                  .errors,
              IsEmpty());
}

TEST(ParseTomlTest, DotsInCommentsAndStringsAreNoKeys) {
  EXPECT_THAT(ParseTomlText("# " + Repeat(".", 100) + "\na = \"" +
                            Repeat(".", 100) + "\" # " + Repeat(".", 100) +
                            "\nb = '''\n" + Repeat(".", 100) + "'''\n")
                  .errors,
              IsEmpty());
}

TEST(ParseTomlTest, BoundsDottedKeys) {
  EXPECT_THAT(
      ParseTomlText("[a]\n" + Repeat("b.c = 1\n", kMaxTomlDots + 1)).errors,
      ElementsAre(
          testing::Field(&TextError::message, HasSubstr("20000 dots"))));
  EXPECT_THAT(
      ErrorLines(ParseTomlText("x = 1\n" + Repeat("a.b = 1\n", kMaxTomlDots) +
                               "# .\n[a.\"b.c\"]\nc = \"..\"\nc.d = 1\n")),
      ElementsAre(kMaxTomlDots + 5));
  // Not the dots, then, but that they are the same key.
  EXPECT_THAT(ErrorLines(ParseTomlText(Repeat("a.b = 1\n", kMaxTomlDots))),
              testing::Contains(2));
}

TEST(ParseTomlTest, LargeTextsAreNotParsedForEveryError) {
  const std::string blanks(kMaxTomlParsedBytes / 4, '\n');
  EXPECT_THAT(ParseTomlText(Repeat("=\n", 10) + blanks).errors, SizeIs(3));
  EXPECT_THAT(ParseTomlText("=\n" + blanks + blanks + blanks + blanks).errors,
              SizeIs(1));
}

TEST(ParseTomlTest, StopsReportingAtTheLimit) {
  EXPECT_THAT(ParseTomlText(Repeat("a = 1\n", 1000)).errors,
              SizeIs(kMaxTomlErrors));
}

}  // namespace
}  // namespace vmsilo
