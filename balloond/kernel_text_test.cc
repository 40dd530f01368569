#include "balloond/kernel_text.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::HasSubstr;
using ::testing::Matcher;
using ::testing::TestParamInfo;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

template <typename T>
struct Case {
  const char* name;
  std::string text;
  Matcher<absl::StatusOr<T>> want;
};

template <typename T>
std::string NameOf(const TestParamInfo<Case<T>>& info) {
  return info.param.name;
}

template <typename T>
Matcher<absl::StatusOr<T>> Refused(const std::string& why) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why));
}

class ParseMeminfoTest : public TestWithParam<Case<Meminfo>> {};
TEST_P(ParseMeminfoTest, Table) {
  EXPECT_THAT(ParseMeminfo(GetParam().text), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(
    All, ParseMeminfoTest,
    ValuesIn(std::vector<Case<Meminfo>>{
        {"Whole",
         "MemTotal:       24684084 kB\nMemFree:        19309140 kB\n"
         "MemAvailable:   20784948 kB\nBuffers:           15508 kB\n"
         "HugePages_Total:       0\n",
         IsOkAndHolds(Meminfo{.total = int64_t{24684084} << 10,
                              .free = int64_t{19309140} << 10,
                              .available = int64_t{20784948} << 10})},
        {"AnyOrderWithoutTheLastLineEnd",
         "MemAvailable: 1 kB\nMemFree: 2 kB\nMemTotal: 3 kB",
         IsOkAndHolds(Meminfo{.total = 3072, .free = 2048, .available = 1024})},
        {"Empty", "", Refused<Meminfo>("MemTotal is missing")},
        {"BeforeLinux314", "MemTotal: 3 kB\nMemFree: 2 kB\n",
         Refused<Meminfo>("MemAvailable is missing")},
        {"NoFree", "MemTotal: 3 kB\nMemAvailable: 2 kB\n",
         Refused<Meminfo>("MemFree is missing")},
        {"Repeated", "MemTotal: 3 kB\nMemTotal: 3 kB\n",
         Refused<Meminfo>("MemTotal is repeated")},
        {"OtherUnit", "MemTotal: 3 MB\n", Refused<Meminfo>("no number of kB")},
        {"Negative", "MemTotal: -3 kB\n",
         StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("MemTotal"))},
        {"Overflow", "MemTotal: 9007199254740992 kB\n",
         StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("MemTotal"))},
        {"TooLong", std::string(kMaxKernelText + 1, '\n'),
         Refused<Meminfo>("longer than")},
    }),
    NameOf<Meminfo>);

class ParsePressureTest : public TestWithParam<Case<Pressure>> {};
TEST_P(ParsePressureTest, Table) {
  EXPECT_THAT(ParsePressure(GetParam().text), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(
    All, ParsePressureTest,
    ValuesIn(std::vector<Case<Pressure>>{
        {"Whole",
         "some avg10=12.50 avg60=3.00 avg300=0.70 total=1234567\n"
         "full avg10=1.00 avg60=0.00 avg300=0.00 total=7\n",
         IsOkAndHolds(Pressure{.avg10 = 12.5,
                               .total = absl::Microseconds(1234567)})},
        {"AnyOrderAndUnknownFields",
         "full nonsense\nsome total=5 new=1 avg10=100.00\n",
         IsOkAndHolds(Pressure{.avg10 = 100, .total = absl::Microseconds(5)})},
        {"Empty", "", Refused<Pressure>("some is missing")},
        {"OnlyFull", "full avg10=1.00 total=7\n",
         Refused<Pressure>("some is missing")},
        {"NoTotal", "some avg10=1.00\n", Refused<Pressure>("total is missing")},
        {"NoAverage", "some total=1\n", Refused<Pressure>("avg10 is missing")},
        {"RepeatedField", "some avg10=1.00 avg10=2.00 total=0\n",
         Refused<Pressure>("avg10 is repeated")},
        {"RepeatedLine", "some avg10=1 total=0\nsome avg10=1 total=0\n",
         Refused<Pressure>("some is repeated")},
        {"MoreThanAll", "some avg10=100.01 total=0\n",
         StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("avg10"))},
        {"NotANumber", "some avg10=nan total=0\n", Refused<Pressure>("'nan'")},
        {"Negative", "some avg10=1.00 total=-1\n",
         StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("total"))},
        {"TooLong",
         absl::StrCat("some avg10=1 total=1\n",
                      std::string(kMaxKernelText, '\n')),
         Refused<Pressure>("longer than")},
    }),
    NameOf<Pressure>);

class ParseCgroupTest : public TestWithParam<Case<std::string>> {};
TEST_P(ParseCgroupTest, Table) {
  EXPECT_THAT(ParseCgroup(GetParam().text), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(
    All, ParseCgroupTest,
    ValuesIn(std::vector<Case<std::string>>{
        {"Unified", "0::/system.slice/vmsilo-work-vm.service\n",
         IsOkAndHolds(std::string("/system.slice/vmsilo-work-vm.service"))},
        {"Root", "0::/\n", IsOkAndHolds(std::string("/"))},
        {"Hybrid", "12:memory:/a\n1:name=systemd:/b\n0::/c\n",
         IsOkAndHolds(std::string("/c"))},
        {"Old", "12:memory:/a\n1:name=systemd:/b\n",
         StatusIs(absl::StatusCode::kNotFound)},
        {"Empty", "", StatusIs(absl::StatusCode::kNotFound)},
        {"OutsideOfOurs", "0::/../other\n", Refused<std::string>("cannot see")},
        {"Relative", "0::a\n", Refused<std::string>("no control group")},
    }),
    NameOf<std::string>);

TEST(ParseOccupiedTest, IsWhatNobodyElseCanGiveUp) {
  EXPECT_THAT(ParseOccupied("anon 4096\nfile 100000\nkernel 5000\n"
                            "shmem 8192\nanon_thp 0\n"),
              IsOkAndHolds(12288));
  EXPECT_THAT(ParseOccupied("shmem 0\nanon 9223372036854775807\n"),
              IsOkAndHolds(std::numeric_limits<int64_t>::max()));
  EXPECT_THAT(ParseOccupied("shmem 1\nanon 9223372036854775807\n"),
              IsOkAndHolds(std::numeric_limits<int64_t>::max()));
  for (const char* text :
       {"", "anon 1\n", "shmem 1\n", "anon 1\nanon 1\nshmem 1\n",
        "anon -1\nshmem 1\n", "anon x\nshmem 1\n", "anon  1\nshmem 1\n",
        "anon 9223372036854775808\nshmem 0\n"}) {
    EXPECT_FALSE(ParseOccupied(text).ok()) << text;
  }
}

Pressure Waited(double avg10, absl::Duration total) {
  return {.avg10 = avg10, .total = total};
}

TEST(PressureMeterTest, IsTheAverageAtFirst) {
  PressureMeter meter;
  EXPECT_EQ(meter.Update(Waited(3, absl::Hours(1)), absl::UnixEpoch()), 3);
}

TEST(PressureMeterTest, RisesWithTheTotalAndFallsWithTheAverage) {
  PressureMeter meter;
  absl::Time now = absl::UnixEpoch();
  meter.Update(Waited(0, absl::Seconds(10)), now);
  now += absl::Seconds(2);
  EXPECT_DOUBLE_EQ(meter.Update(Waited(0, absl::Seconds(11)), now), 50);
  now += absl::Seconds(2);
  EXPECT_DOUBLE_EQ(meter.Update(Waited(12, absl::Seconds(11)), now), 12);
}

TEST(PressureMeterTest, MeasuresNoSpanThatIsTooShort) {
  PressureMeter meter;
  absl::Time now = absl::UnixEpoch();
  meter.Update(Waited(0, absl::ZeroDuration()), now);
  now += absl::Milliseconds(99);
  EXPECT_EQ(meter.Update(Waited(0, absl::Milliseconds(99)), now), 0);
  // It counts in the next one.
  now += absl::Milliseconds(101);
  EXPECT_DOUBLE_EQ(meter.Update(Waited(0, absl::Milliseconds(99)), now), 49.5);
}

TEST(PressureMeterTest, IsNeverBelowNoneNorAboveAll) {
  PressureMeter meter;
  absl::Time now = absl::UnixEpoch();
  meter.Update(Waited(0, absl::Seconds(5)), now);
  now += absl::Seconds(1);
  EXPECT_EQ(meter.Update(Waited(0, absl::Seconds(1)), now), 0);
  now += absl::Seconds(1);
  EXPECT_EQ(meter.Update(Waited(0, absl::Seconds(100)), now), 100);
}

TEST(PressureMeterTest, KnowsWhatWasWaitedSinceTheLastReading) {
  PressureMeter meter;
  meter.Update(Waited(0, absl::Seconds(5)), absl::UnixEpoch());
  EXPECT_EQ(meter.Since(Waited(0, absl::Seconds(7))), absl::Seconds(2));
  EXPECT_EQ(meter.Since(Waited(0, absl::Seconds(4))), absl::ZeroDuration());
  meter.Update(Waited(0, absl::Seconds(7)),
               absl::UnixEpoch() + absl::Milliseconds(1));
  EXPECT_EQ(meter.Since(Waited(0, absl::Seconds(7))), absl::ZeroDuration());
}

}  // namespace
}  // namespace vmsilo::balloond
