#include "common/json.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/testing/status_matchers.h"
#include "common/value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Repeat(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(ParseJsonTest, GivesEveryKindOfValue) {
  const ParsedText parsed = ParseJsonText(
      R"({"n":null,"b":true,"i":-7,"u":18446744073709551615,"r":1.5,"s":"ä\n",)"
      R"("a":[1,"x"],"t":{}})");
  ASSERT_THAT(parsed.errors, IsEmpty());
  const Value& value = *parsed.value;
  EXPECT_TRUE(value.Find("n")->is_null());
  EXPECT_EQ(*value.Find("b")->AsBool(), true);
  EXPECT_EQ(*value.Find("i")->AsInteger(), -7);
  EXPECT_EQ(*value.Find("u")->AsUnsigned(), 18446744073709551615u);
  EXPECT_EQ(*value.Find("r")->AsReal(), 1.5);
  EXPECT_EQ(*value.Find("s")->AsString(), "ä\n");
  EXPECT_THAT(*value.Find("a")->AsArray(), SizeIs(2));
  EXPECT_THAT(*value.Find("t")->AsTable(), IsEmpty());
  EXPECT_EQ(value.Find("missing"), nullptr);
}

TEST(ParseJsonTest, KnowsWhereThingsStand) {
  const ParsedText parsed = ParseJsonText(
      "{\n  \"ä\\\"}\" : [ 1.5e3,\n  true ],\n\t\"k\":{\"x\":-1}\n}", 7);
  ASSERT_THAT(parsed.errors, IsEmpty());
  const Value::Member* first = parsed.value->FindMember("ä\"}");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->at, (Position{7, 2, 3}));
  EXPECT_EQ(first->value.at(), (Position{7, 2, 12}));
  EXPECT_EQ((*first->value.AsArray())[0].at(), (Position{7, 2, 14}));
  EXPECT_EQ((*first->value.AsArray())[1].at(), (Position{7, 3, 3}));
  const Value::Member* x = parsed.value->Find("k")->FindMember("x");
  EXPECT_EQ(x->at, (Position{7, 4, 7}));
  EXPECT_EQ(x->value.at(), (Position{7, 4, 11}));
}

TEST(ParseJsonTest, ReportsEveryDuplicateAndKeepsTheFirst) {
  const ParsedText parsed =
      ParseJsonText("{\"a\":1,\n\"b\":{\"c\":1,\n\"c\":2},\n\"a\":2}");
  ASSERT_THAT(parsed.errors, SizeIs(2));
  EXPECT_EQ(parsed.errors[0].at, (Position{0, 3, 1}));
  EXPECT_EQ(parsed.errors[0].message, "the key 'c' is already on line 2");
  EXPECT_EQ(parsed.errors[1].at, (Position{0, 4, 1}));
  EXPECT_EQ(*parsed.value->Find("a")->AsInteger(), 1);
}

struct BadCase {
  const char* name;
  std::string text;
  Position at;
  const char* message;
};
class BadJsonTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadJsonTest, IsAnErrorWithItsPlace) {
  const ParsedText parsed = ParseJsonText(GetParam().text);
  ASSERT_THAT(parsed.errors, SizeIs(1));
  EXPECT_EQ(parsed.errors[0].at, GetParam().at);
  EXPECT_THAT(parsed.errors[0].message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadJsonTest,
    testing::ValuesIn(std::vector<BadCase>{
        {"Empty", "", {0, 1, 1}, "unexpected end of input"},
        {"Cut", "{\"a\": [1,\n", {0, 2, 1}, "unexpected end of input"},
        {"MissingComma", "{\"a\":1\n \"b\":2}", {0, 2, 2}, "string literal"},
        {"Trailing", "{} x", {0, 1, 4}, "invalid literal"},
        {"Comment", "// c\n{}", {0, 1, 1}, "invalid literal"},
        {"InvalidUtf8", "{\"a\":\"\xff\"}", {0, 1, 6}, "UTF-8"},
        {"Nul", std::string("{\"a\":\0 1}", 9), {0, 1, 6}, "NUL"},
        {"NulAtTheEnd", std::string("{}\n\0", 4), {0, 2, 1}, "NUL"},
        {"HugeInteger",
         "[123456789012345678901234]",
         {0, 1, 2},
         "out of range"},
        {"HugeReal", "[1e999]", {0, 1, 2}, "number overflow"},
        {"TooDeep",
         Repeat("[", kMaxJsonDepth + 1) + Repeat("]", kMaxJsonDepth + 1),
         {0, 1, 65},
         "more than 64"},
        {"MuchTooDeep", Repeat("[", 1 << 20), {0, 1, 65}, "more than 64"},
    }),
    [](const auto& test) { return test.param.name; });

TEST(ParseJsonTest, TakesTheGreatestDepth) {
  EXPECT_THAT(
      ParseJsonText(Repeat("[", kMaxJsonDepth) + Repeat("]", kMaxJsonDepth))
          .errors,
      IsEmpty());
}

TEST(ParseJsonTest, StopsReportingAtTheLimit) {
  EXPECT_THAT(ParseJsonText("{" + Repeat("\"a\":1,", 1000) + "\"a\":1}").errors,
              SizeIs(kMaxJsonErrors));
}

TEST(ParseJsonTest, StatusNamesTheFirstError) {
  EXPECT_THAT(ParseJson("{\"a\":1,\n\"a\":2}"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("line 2, column 1: the key 'a'")));
  EXPECT_THAT(ParseJson("3"), IsOk());
}

TEST(ToJsonTest, IsReadBackAsTheSame) {
  const std::string text =
      R"({"a":[1,-2,18446744073709551615,0.1,1e+300,"x\"\\\u0001ü"],)"
      R"("b":{},"c":[],"d":null,"e":true})";
  const Value value = *ParseJsonText(text).value;
  EXPECT_EQ(ToJson(value), text);
  EXPECT_EQ(*ParseJsonText(ToJson(value, 2)).value, value);
}

TEST(ToJsonTest, IndentsForPeople) {
  EXPECT_EQ(ToJson(*ParseJsonText(R"({"a":[1,2],"b":{}})").value, 2),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
}

TEST(ToJsonTest, HasNoInfinityAndNoInvalidUtf8) {
  EXPECT_EQ(ToJson(Value(std::numeric_limits<double>::infinity())), "null");
  EXPECT_EQ(ToJson(Value(2.0)), "2.0");
  EXPECT_EQ(JsonString("a\xff"
                       "b"),
            "\"a\xef\xbf\xbd"
            "b\"");
}

TEST(MergeValueTest, LaterWinsKeyByKey) {
  Value base =
      *ParseJsonText(R"({"a":{"x":1,"y":[1,2]},"b":1,"d":{"k":1}})", 1).value;
  MergeValue(
      base,
      *ParseJsonText(R"({"a":{"y":[3],"z":4},"c":5,"d":false})", 2).value);
  EXPECT_EQ(ToJson(base),
            R"({"a":{"x":1,"y":[3],"z":4},"b":1,"c":5,"d":false})");
  EXPECT_EQ(base.Find("a")->FindMember("x")->at.source, 1u);
  EXPECT_EQ(base.Find("a")->FindMember("y")->at.source, 2u);
  EXPECT_EQ(base.FindMember("d")->at.source, 2u);
}

}  // namespace
}  // namespace vmsilo
