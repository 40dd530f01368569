#include "config/text_rules.h"

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

struct Case {
  const char* name;
  const TextRule* rule;
  std::string text;
  // Nothing if it is refused.
  std::optional<std::string> want;
};
class TextRuleTest : public testing::TestWithParam<Case> {};

TEST_P(TextRuleTest, AcceptsOrRefuses) {
  std::string out;
  const bool is_accepted = GetParam().rule->accept(GetParam().text, &out);
  EXPECT_EQ(is_accepted, GetParam().want.has_value());
  if (is_accepted) {
    EXPECT_EQ(out, GetParam().want);
  }
}

const std::optional<std::string> kNo = std::nullopt;

INSTANTIATE_TEST_SUITE_P(
    All, TextRuleTest,
    testing::ValuesIn(std::vector<Case>{
        {"ArgumentMayBeAnything", &kArgument, "a\n\"$%\\\x1b", "a\n\"$%\\\x1b"},
        {"ArgumentMayBeEmpty", &kArgument, "", ""},
        {"ArgumentHasNoNul", &kArgument, std::string("a\0b", 3), kNo},
        {"LongestArgument", &kArgument, std::string(kMaxArgumentBytes, 'a'),
         std::string(kMaxArgumentBytes, 'a')},
        {"TooLongArgument", &kArgument, std::string(kMaxArgumentBytes + 1, 'a'),
         kNo},
        {"LineHasNoBreak", &kLine, "a\nb", kNo},
        {"LineMayBeUtf8", &kLine, "grün", "grün"},
        {"Path", &kPath, "/srv/my home", "/srv/my home"},
        {"RelativePath", &kPath, "srv", kNo},
        {"EmptyPath", &kPath, "", kNo},
        {"PathWithTab", &kPath, "/a\tb", kNo},
        {"LongestPath", &kPath, "/" + std::string(kMaxPathBytes - 1, 'a'),
         "/" + std::string(kMaxPathBytes - 1, 'a')},
        {"TooLongPath", &kPath, "/" + std::string(kMaxPathBytes, 'a'), kNo},
        {"Name", &kName, "a.B_c-1", "a.B_c-1"},
        {"LongestName", &kName, std::string(64, 'a'), std::string(64, 'a')},
        {"TooLongName", &kName, std::string(65, 'a'), kNo},
        {"NameOfADot", &kName, ".", kNo},
        {"NameWithLeadingDash", &kName, "-a", kNo},
        {"NameWithAt", &kName, "a@b", kNo},
        {"NameWithSlash", &kName, "a/b", kNo},
        {"NameWithUmlaut", &kName, "ä", kNo},
        {"UserName", &kUserName, "_a.b-c", "_a.b-c"},
        {"UserNameWithQuote", &kUserName, "a\"b", kNo},
        {"UserNameOfDigits", &kUserName, "1000", kNo},
        {"TooLongUserName", &kUserName, std::string(32, 'a'), kNo},
        {"InterfaceName", &kInterfaceName, "abcdefghijklmno",
         "abcdefghijklmno"},
        {"TooLongInterfaceName", &kInterfaceName, "abcdefghijklmnop", kNo},
        {"InterfaceNameWithColon", &kInterfaceName, "eth0:1", kNo},
        {"FileNameOfTwoDots", &kFileName, "..", kNo},
        {"FileNameWithSlash", &kFileName, "a/b", kNo},
        {"FileName", &kFileName, "wayland-1", "wayland-1"},
        {"UsbIdIsLowered", &kUsbId, "046D", "046d"},
        {"UsbIdWithPrefix", &kUsbId, "0x46", kNo},
        {"UsbIdTooShort", &kUsbId, "46d", kNo},
        {"UsbSerial", &kUsbSerial, "a:b c", "a:b c"},
        {"EmptyUsbSerial", &kUsbSerial, "", kNo},
        {"DiskSerial", &kDiskSerial, std::string(20, 'x'),
         std::string(20, 'x')},
        {"TooLongDiskSerial", &kDiskSerial, std::string(21, 'x'), kNo},
        {"DiskSerialWithComma", &kDiskSerial, "a,b", kNo},
        {"ShortPciAddress", &kPciAddress, "03:00.0", "0000:03:00.0"},
        {"PciAddress", &kPciAddress, "0001:AF:1f.7", "0001:af:1f.7"},
        {"PciFunction8", &kPciAddress, "03:00.8", kNo},
        {"PciDevice32", &kPciAddress, "03:20.0", kNo},
        {"PciSysfsPath", &kPciAddress, "/sys/bus", kNo},
        {"MacAddress", &kMacAddress, "52:54:00:AB:cd:ef", "52:54:00:ab:cd:ef"},
        {"GroupMacAddress", &kMacAddress, "53:54:00:12:34:56", kNo},
        {"NullMacAddress", &kMacAddress, "00:00:00:00:00:00", kNo},
        {"ShortMacAddress", &kMacAddress, "52:54:00:12:34", kNo},
        {"MacAddressWithDashes", &kMacAddress, "52-54-00-12-34-56", kNo},
        {"HostAddress", &kHostAddress, "10.0.0.1/24", "10.0.0.1/24"},
        {"HostAddress6", &kHostAddress, "fd00::1/64", "fd00::1/64"},
        {"HostAddressWithoutPrefix", &kHostAddress, "10.0.0.1", kNo},
        {"HostAddressWithLongPrefix", &kHostAddress, "10.0.0.1/33", kNo},
        {"HostAddressWithBadNumber", &kHostAddress, "10.0.0.256/24", kNo},
        {"HostAddressWithNul", &kHostAddress, std::string("10.0.0.1\0/24", 12),
         kNo},
        {"IdMap", &kIdMap, ":0:100000:65536:", ":0:100000:65536:"},
        {"IdMapWithoutColons", &kIdMap, "0:100000:65536", kNo},
        {"IdMapOutOfRange", &kIdMap, ":0:4294967296:1:", kNo},
        {"Translation", &kIdTranslation, "map:1000:1001:1", "map:1000:1001:1"},
        {"Forbidden", &kIdTranslation, "forbid-guest:0:1", "forbid-guest:0:1"},
        {"ForbiddenWithThree", &kIdTranslation, "forbid-guest:0:1:2", kNo},
        {"TranslationWithTwo", &kIdTranslation, "map:1000:1001", kNo},
        {"UnknownTranslation", &kIdTranslation, "swap:1:2:3", kNo},
        {"EmptyTranslation", &kIdTranslation, "", kNo},
    }),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace vmsilo::config
