#include "vsock/address.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::vsock {
namespace {

using ::testing::HasSubstr;

struct Good {
  const char* name;
  std::string text;
  Address want;
};

class GoodAddressTest : public ::testing::TestWithParam<Good> {};

TEST_P(GoodAddressTest, ParsesAndPrintsTheSame) {
  EXPECT_THAT(ParseAddress(GetParam().text), IsOkAndHolds(GetParam().want));
  EXPECT_EQ(FormatAddress(GetParam().want), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    All, GoodAddressTest,
    ::testing::ValuesIn(std::vector<Good>{
        {"Kernel", "vsock:3:5000", KernelAddress{3, 5000}},
        {"Loopback", "vsock:1:1", KernelAddress{1, 1}},
        {"Highest", "vsock:4294967294:4294967294",
         KernelAddress{4294967294u, 4294967294u}},
        {"Hybrid", "unix:/run/vm.socket:5000",
         HybridAddress{"/run/vm.socket", 5000}},
        {"ColonInPath", "unix:/run/a:b:7", HybridAddress{"/run/a:b", 7}},
        {"RelativePath", "unix:s:7", HybridAddress{"s", 7}},
        {"LongestPath", absl::StrCat("unix:", std::string(107, 'x'), ":1"),
         HybridAddress{std::string(107, 'x'), 1}},
    }),
    [](const auto& test) { return std::string(test.param.name); });

struct Bad {
  const char* name;
  std::string text;
  const char* words;
};

class BadAddressTest : public ::testing::TestWithParam<Bad> {};

TEST_P(BadAddressTest, SaysWhatIsWrong) {
  EXPECT_THAT(ParseAddress(GetParam().text),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(GetParam().words)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadAddressTest,
    ::testing::ValuesIn(std::vector<Bad>{
        {"Empty", "", "unknown kind"},
        {"UnknownKind", "tcp:1:2", "unknown kind"},
        {"NoPort", "vsock:3", "no port"},
        {"EmptyPort", "vsock:3:", "not a port"},
        {"PortZero", "vsock:3:0", "not a port"},
        {"PortAny", "vsock:3:4294967295", "not a port"},
        {"PortWithSign", "vsock:3:+5", "not a port"},
        {"CidZero", "vsock:0:5", "not a CID"},
        {"CidAny", "vsock:4294967295:5", "not a CID"},
        {"CidWithSpace", "vsock: 3:5", "not a CID"},
        {"EmptyPath", "unix::5", "no path"},
        {"LongPath", absl::StrCat("unix:", std::string(108, 'x'), ":1"),
         "longer than 107"},
        {"NulInPath", std::string("unix:a\0b:1", 10), "NUL"},
        {"OnlyPath", "unix:/run/x", "no port"},
    }),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace vmsilo::vsock
