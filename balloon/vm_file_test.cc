#include "balloon/vm_file.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/bytes.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloon {
namespace {

using ::testing::HasSubstr;
using ::testing::Matcher;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

const VmFile& Whole() {
  static const VmFile& file = *new VmFile{
      .hypervisor = "qemu",
      .unit = "vmsilo-work-vm.service",
      .memory = GiB(2),
      .guaranteed = MiB(512),
      .excluded = "passed-through devices",
  };
  return file;
}

TEST(VmFileTest, IsPrintedOnOneLine) {
  EXPECT_EQ(PrintVmFile(Whole()),
            R"({"hypervisor":"qemu","unit":"vmsilo-work-vm.service",)"
            R"("memory":2147483648,"memoryGuaranteed":536870912,)"
            R"("excluded":"passed-through devices"})");
  EXPECT_EQ(
      PrintVmFile({.hypervisor = "crosvm", .unit = "a", .memory = MiB(1)}),
      R"({"hypervisor":"crosvm","unit":"a","memory":1048576})");
}

TEST(VmFileTest, ComesBackAsItWas) {
  EXPECT_THAT(ParseVmFile(PrintVmFile(Whole())), IsOkAndHolds(Whole()));
}

struct Case {
  const char* name;
  std::string text;
  Matcher<absl::StatusOr<VmFile>> want;
};
class ParseVmFileTest : public TestWithParam<Case> {};
TEST_P(ParseVmFileTest, Table) {
  EXPECT_THAT(ParseVmFile(GetParam().text), GetParam().want);
}

Matcher<absl::StatusOr<VmFile>> Refused(const char* why) {
  return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why));
}

constexpr char kHead[] = R"({"hypervisor":"qemu","unit":"u",)";

INSTANTIATE_TEST_SUITE_P(
    All, ParseVmFileTest,
    ValuesIn(std::vector<Case>{
        {"OfALaterVersion", absl::StrCat(kHead, R"("memory":1,"new":[1,{}]})"),
         IsOkAndHolds(VmFile{
             .hypervisor = "qemu", .unit = "u", .memory = Bytes(1)})},
        {"WithLineEnd", absl::StrCat(kHead, "\"memory\":1}\n"),
         IsOkAndHolds(VmFile{
             .hypervisor = "qemu", .unit = "u", .memory = Bytes(1)})},
        {"Empty", "", Refused("")},
        {"NoTable", "[]", Refused("expected a table, found an array")},
        {"HalfWritten", std::string(kHead), Refused("")},
        {"NoMemory", R"({"hypervisor":"qemu","unit":"u"})",
         Refused("file.memory: missing")},
        {"NoUnit", R"({"hypervisor":"qemu","memory":1})",
         Refused("file.unit: missing")},
        {"NoHypervisor", R"({"unit":"u","memory":1})",
         Refused("file.hypervisor: missing")},
        {"Negative", absl::StrCat(kHead, R"("memory":-1})"),
         Refused("file.memory: expected a whole number")},
        {"Fraction", absl::StrCat(kHead, R"("memory":1.5})"),
         Refused("file.memory: expected a whole number")},
        {"TooLarge", absl::StrCat(kHead, R"("memory":9223372036854775808})"),
         Refused("file.memory: expected a whole number")},
        {"OtherKind", absl::StrCat(kHead, R"("memory":"2G"})"),
         Refused("file.memory: expected a whole number")},
        {"Twice", absl::StrCat(kHead, R"("memory":1,"memory":2})"),
         Refused("memory")},
        {"ControlCharacter",
         R"({"hypervisor":"qemu","unit":"a\nb","memory":1})",
         Refused("file.unit: expected at most 255 printable")},
        {"LongName",
         absl::StrCat(R"({"hypervisor":"qemu","memory":1,"unit":")",
                      std::string(kMaxUnitBytes + 1, 'u'), "\"}"),
         Refused("file.unit: expected at most 255 printable")},
        {"LongExclusion",
         absl::StrCat(kHead, R"("memory":1,"excluded":")",
                      std::string(kMaxExcludedBytes + 1, 'x'), "\"}"),
         Refused("file.excluded: expected at most 128 printable")},
        {"TooLong",
         absl::StrCat(kHead, "\"memory\":1}",
                      std::string(kMaxVmFileBytes, ' ')),
         Refused("longer than 4096 bytes")},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ParseVmFileTest, TakesTextsOfTheGreatestLength) {
  VmFile file = Whole();
  file.unit = std::string(kMaxUnitBytes, 'u');
  file.excluded = std::string(kMaxExcludedBytes, 'x');
  EXPECT_THAT(ParseVmFile(PrintVmFile(file)), IsOkAndHolds(file));
}

}  // namespace
}  // namespace vmsilo::balloon
