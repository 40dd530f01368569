#include "balloond/sim/trace_file.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/bounds.h"
#include "balloond/sim/scenarios.h"
#include "balloond/sim/trace.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

constexpr absl::string_view kSmall =
    "vmsilo-trace 1\n"
    "duration 10\n"
    "vm a memory=1024\n"
    "use a 0 100 50 1\n";

TEST(ParseTraceTest, ReadsEveryKind) {
  const absl::StatusOr<std::string> text =
      ReadFile("balloond/sim/testdata/trace_corpus/everything", 4096);
  ASSERT_THAT(text, IsOk());
  const absl::StatusOr<Trace> trace = ParseTrace(*text);
  ASSERT_THAT(trace, IsOk());
  EXPECT_EQ(trace->name, "all-kinds");
  EXPECT_EQ(trace->duration, 200);
  EXPECT_EQ(trace->fixed_ratio, 1.25);
  ASSERT_EQ(trace->daemon_down.size(), 2);
  EXPECT_EQ(trace->daemon_down[1].from, 140.5);
  ASSERT_EQ(trace->vms.size(), 5);
  EXPECT_FALSE(trace->vms[0].has_driver);
  EXPECT_EQ(trace->vms[1].memory, 2048.5);
  EXPECT_EQ(trace->vms[1].frozen_from, 35);
  ASSERT_EQ(trace->vms[2].suspended.size(), 2);
  EXPECT_EQ(trace->vms[2].suspended[0].to, 90);
  EXPECT_EQ(trace->vms[3].lie, Lie::kPoor);
  EXPECT_TRUE(trace->vms[3].is_exempt);
  EXPECT_EQ(trace->vms[4].lie, Lie::kRich);
  ASSERT_EQ(trace->vms[4].uses.size(), 2);
  EXPECT_EQ(trace->vms[4].uses[1].anon, 600.125);
}

TEST(ParseTraceTest, WhatIsPrintedIsReadAsItWas) {
  std::vector<std::string> names = ScenarioNames();
  names.insert(names.end(), {"desk3", "stream-4-200"});
  for (const std::string& name : names) {
    const absl::StatusOr<Trace> trace = MakeScenario(name);
    ASSERT_THAT(trace, IsOk());
    const absl::StatusOr<Trace> again = ParseTrace(FormatTrace(*trace));
    ASSERT_THAT(again, IsOk()) << name;
    const Bounds before = BoundsOf(Timeline(*trace, 100'000));
    const Bounds after = BoundsOf(Timeline(*again, 100'000));
    EXPECT_NEAR(after.needed, before.needed, 1) << name;
    EXPECT_NEAR(after.possible, before.possible, 1) << name;
  }
}

struct Bad {
  const char* name;
  std::string line;  // after the small trace
  std::string message;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

class BadTraceTest : public TestWithParam<Bad> {};

TEST_P(BadTraceTest, IsRefusedWithItsLine) {
  const std::string text = absl::StrCat(kSmall, GetParam().line, "\n");
  EXPECT_THAT(ParseTrace(text),
              StatusIs(GetParam().code, AllOf(HasSubstr("line 5"),
                                              HasSubstr(GetParam().message))));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadTraceTest,
    ValuesIn(std::vector<Bad>{
        {"UnknownLine", "guest b", "'guest' is unknown"},
        {"UnknownProperty", "vm b colour=red", "'colour=red' is unknown"},
        {"PropertyTwice", "vm b memory=512 memory=512", "there twice"},
        {"VmTwice", "vm a", "vm a is there twice"},
        {"DurationTwice", "duration 20", "duration is there twice"},
        {"NoSuchVm", "use b 0 1 1 1", "vm b"},
        {"TimeStandsStill", "use a 0 1 1 1", "not later"},
        {"HostTakesTwoNumbers", "host 5", "host TIME MIB"},
        {"UseTakesFive", "use a 5 1 1", "use VM TIME ANON HOT IO"},
        {"Negative", "use a 5 -1 1 1", "-1"},
        {"NotANumber", "use a 5 nan 1 1", "nan"},
        {"TooFine", "use a 5 0.0001 1 1", "0.0001"},
        {"SmallVm", "vm b memory=255.999", "256"},
        {"EndsBeforeItStarts", "vm b start=5 end=5", "ends before"},
        {"SpanBackwards", "vm b suspended=9-3", "9-3"},
        {"SpansOverlap", "vm b suspended=3-9,8-10", "8-10"},
        {"BadName", "vm b/c", "is no name"},
        {"LongName", absl::StrCat("vm ", std::string(65, 'x')), "is no name"},
        {"TooMuch", "use a 5 16777217 1 1", "16777217",
         absl::StatusCode::kResourceExhausted},
        {"TooLate", "host 86401 1", "86401",
         absl::StatusCode::kResourceExhausted},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ParseTraceTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(ParseTrace(""), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("vmsilo-trace 1")));
  EXPECT_THAT(ParseTrace("vmsilo-trace 2\n"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("line 1: expected: vmsilo-trace 1")));
  EXPECT_THAT(
      ParseTrace("vmsilo-trace 1\nvm a\nuse a 0 1 1 1\n"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("duration")));
  EXPECT_THAT(
      ParseTrace("vmsilo-trace 1\nduration 10\n"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("vm NAME")));
  EXPECT_THAT(ParseTrace("vmsilo-trace 1\nduration 10\nvm a\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("use a")));
}

TEST(ParseTraceTest, SoManyVmsAreTheMost) {
  std::string text = "vmsilo-trace 1\nduration 10\n";
  for (size_t i = 0; i < kMaxTraceVms; ++i) {
    absl::StrAppend(&text, "vm v", i, "\nuse v", i, " 0 1 1 1\n");
  }
  EXPECT_THAT(ParseTrace(text), IsOk());
  text += "vm more\n";
  EXPECT_THAT(ParseTrace(text), StatusIs(absl::StatusCode::kResourceExhausted,
                                         HasSubstr("more than 64 VMs")));
}

TEST(ParseTraceTest, SoLongIsTheLongest) {
  const std::string text(kSmall);
  EXPECT_THAT(ParseTrace(absl::StrReplaceAll(
                  text, {{"duration 10", "duration 86400"}})),
              IsOk());
  EXPECT_THAT(ParseTrace(absl::StrReplaceAll(
                  text, {{"duration 10", "duration 86401"}})),
              StatusIs(absl::StatusCode::kResourceExhausted));
  // A day of sixteen VMs, but not of one more.
  std::string many =
      absl::StrReplaceAll(text, {{"duration 10", "duration 86400"}});
  for (int i = 1; i < 16; ++i) {
    absl::StrAppend(&many, "vm v", i, "\nuse v", i, " 0 1 1 1\n");
  }
  EXPECT_THAT(ParseTrace(many), IsOk());
  many += "vm more\nuse more 0 1 1 1\n";
  EXPECT_THAT(ParseTrace(many), StatusIs(absl::StatusCode::kResourceExhausted,
                                         HasSubstr("cut it into pieces")));
}

TEST(ParseTraceTest, SoManyBytesAreTheMost) {
  std::string text(kSmall);
  text.resize(kMaxTraceBytes, '\n');
  EXPECT_THAT(ParseTrace(text), IsOk());
  text += '\n';
  EXPECT_THAT(ParseTrace(text), StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
