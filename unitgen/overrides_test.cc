#include "unitgen/overrides.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kVm[] = "vmsilo-work-vm.service";
constexpr char kSound[] = "vmsilo-work-sound.service";
constexpr char kSocket[] = "vmsilo-work.socket";

Output Example() {
  Output output;
  output.files["systemd/system/vmsilo-work-vm.service"] =
      File{.content =
               "[Unit]\nRequires=vmsilo-work-sound.service\n"
               "After=vmsilo-work-sound.service\n"
               "[Service]\nExecStart=/bin/true\nDeviceAllow=/dev/kvm\n"
               "ProtectSystem=strict\n",
           .keys = {"vms.work"}};
  output.files["systemd/system/vmsilo-work-sound.service"] =
      File{.content = "[Service]\nType=notify\n"};
  output.files["systemd/system/vmsilo-work.socket"] =
      File{.content = "[Socket]\nListenStream=/run/x\n"};
  output.files["systemd/user/vmsilo-work-session-bind.service"] =
      File{.content = "[Service]\nType=oneshot\n"};
  return output;
}

config::Config ConfigWith(absl::string_view unit, absl::string_view section,
                          absl::string_view key,
                          std::vector<std::string> values) {
  config::Config config;
  config::Vm vm;
  vm.name = "work";
  vm.memory = GiB(2);
  config.vms.push_back(vm);
  config.units[std::string(unit)][std::string(section)] = {
      {.key = std::string(key),
       .values = std::move(values),
       .path = absl::StrCat("units.", unit, ".", section, ".", key)}};
  return config;
}

absl::Status Try(absl::string_view unit, absl::string_view section,
                 absl::string_view key, std::vector<std::string> values,
                 Output* output) {
  *output = Example();
  return ApplyOverrides(ConfigWith(unit, section, key, std::move(values)),
                        UnknownUnit::kRefuse, output);
}

TEST(OverridesTest, AreADropInOfTheUnit) {
  Output output;
  ASSERT_THAT(Try(kVm, "Service", "MemoryMax", {"3G"}, &output), IsOk());
  EXPECT_THAT(output.warnings, IsEmpty());
  const File& file =
      output.files.at("systemd/system/vmsilo-work-vm.service.d/50-vmsilo.conf");
  EXPECT_EQ(file.content,
            "# From `units` in the configuration; written by vmsilo-unitgen.\n"
            "[Service]\nMemoryMax=3G\n");
  EXPECT_THAT(file.keys,
              ElementsAre("units.vmsilo-work-vm.service.Service.MemoryMax",
                          "vms.work"));
  EXPECT_EQ(output.files.at("systemd/system/vmsilo-work-vm.service"),
            Example().files.at("systemd/system/vmsilo-work-vm.service"));
}

TEST(OverridesTest, AListIsOneLineAValue) {
  Output output;
  ASSERT_THAT(
      Try(kVm, "Service", "DeviceAllow", {"/dev/a rw", "/dev/b r"}, &output),
      IsOk());
  EXPECT_THAT(
      output.files.at("systemd/system/vmsilo-work-vm.service.d/50-vmsilo.conf")
          .content,
      HasSubstr("DeviceAllow=/dev/a rw\nDeviceAllow=/dev/b r\n"));
}

TEST(OverridesTest, ReachUnitsOfTheUsersManager) {
  Output output;
  ASSERT_THAT(
      Try("vmsilo-work-session-bind.service", "Unit", "ConditionEnvironment",
          {"XDG_SESSION_TYPE=wayland"}, &output),
      IsOk());
  EXPECT_TRUE(output.files.contains(
      "systemd/user/vmsilo-work-session-bind.service.d/50-vmsilo.conf"));
}

struct Case {
  const char* name;
  const char* unit;
  const char* section;
  const char* key;
  std::vector<std::string> values;
  const char* want;
};

class RefusedTest : public testing::TestWithParam<Case> {};

TEST_P(RefusedTest, SaysWhy) {
  const Case& test = GetParam();
  Output output;
  EXPECT_THAT(Try(test.unit, test.section, test.key, test.values, &output),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("units"), HasSubstr(test.want))));
  EXPECT_EQ(output, Example());
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedTest,
    testing::ValuesIn(std::vector<Case>{
        {"User", kVm, "Service", "User", {"root"}, "cannot be changed"},
        {"ExecStart", kVm, "Service", "ExecStart", {"/bin/x"}, "`paths`"},
        {"Type", kSound, "Service", "Type", {"simple"}, "start order"},
        {"RuntimeDirectory",
         kVm,
         "Service",
         "RuntimeDirectoryMode",
         {"0777"},
         "sockets in this directory"},
        {"SocketMode", kSocket, "Socket", "SocketMode", {"0666"}, "rights"},
        {"ListenStream",
         kSocket,
         "Socket",
         "ListenStream",
         {"/run/y"},
         "clients"},
        {"DefaultDependencies",
         kVm,
         "Unit",
         "DefaultDependencies",
         {"no"},
         "boot"},
        {"UMask", kVm, "Service", "UMask", {"0000"}, "who else may use"},
        {"LogNamespace", kVm, "Service", "LogNamespace", {"x"}, "vmsilo logs"},
        {"StopWhenUnneeded",
         kSound,
         "Unit",
         "StopWhenUnneeded",
         {"no"},
         "end with the silo"},
        {"NotALimit",
         kVm,
         "Service",
         "MemoryMax",
         {"bananas"},
         "would ignore MemoryMax=bananas; it expects a size"},
        {"Install", kVm, "Install", "WantedBy", {"x.target"}, "autoStart"},
        {"WrongSection", kVm, "Socket", "Accept", {"yes"}, "not a section"},
        {"ServiceInASocket",
         kSocket,
         "Service",
         "MemoryMax",
         {"1G"},
         "Unit and Socket"},
        {"NoSection", kVm, "Service]\n[Socket", "A", {"b"}, "not a section"},
        {"NameWithEquals",
         kVm,
         "Service",
         "A=b\nUser",
         {"x"},
         "not the name of a setting"},
        {"EmptyName", kVm, "Service", "", {"x"}, "not the name"},
        {"LineEnd",
         kVm,
         "Service",
         "Slice",
         {"a.slice\nUser=root"},
         "one line"},
        {"Nul", kVm, "Service", "Slice", {std::string("a\0b", 3)}, "one line"},
        {"Continued", kVm, "Service", "Slice", {"a.slice \\"}, "backslash"},
        {"TooLong",
         kVm,
         "Service",
         "Slice",
         {std::string(65537, 'a')},
         "longer than 65536"},
        {"Reset",
         kVm,
         "Service",
         "DeviceAllow",
         {"", "/dev/x"},
         "DeviceAllow=/dev/kvm"},
        {"RestartOfWhatTheVmRequires",
         kSound,
         "Service",
         "Restart",
         {"on-failure"},
         "would restart vmsilo-work-vm.service"},
        {"Cycle", kSound, "Unit", "After", {kVm}, "ordering cycle"},
        {"UnknownUnit",
         "vmsilo-wrk-vm.service",
         "Service",
         "MemoryMax",
         {"1G"},
         "did you mean 'vmsilo-work-vm.service'"},
    }),
    [](const auto& test) { return std::string(test.param.name); });

struct WarningCase {
  const char* name;
  const char* unit;
  const char* section;
  const char* key;
  const char* value;
  const char* want;  // "" for none
};

class WarnedTest : public testing::TestWithParam<WarningCase> {};

TEST_P(WarnedTest, SaysWhy) {
  const WarningCase& test = GetParam();
  Output output;
  ASSERT_THAT(Try(test.unit, test.section, test.key, {test.value}, &output),
              IsOk());
  if (*test.want == '\0') {
    EXPECT_THAT(output.warnings, IsEmpty());
  } else {
    ASSERT_EQ(output.warnings.size(), 1U);
    EXPECT_THAT(output.warnings[0].message, HasSubstr(test.want));
    EXPECT_THAT(output.warnings[0].key, HasSubstr(test.key));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, WarnedTest,
    testing::ValuesIn(std::vector<WarningCase>{
        {"Misspelt", kVm, "Service", "MemryMax", "3G", "mean MemoryMax="},
        {"UnknownInThisSection", kVm, "Unit", "MemoryMax", "3G",
         "would ignore it"},
        {"ForOthers", kVm, "Service", "X-Note", "a", ""},
        {"SectionForOthers", kVm, "X-Mine", "Anything", "a", ""},
        {"LessThanTheGuestHas", kVm, "Service", "MemoryMax", "2G",
         "the silo has 2G"},
        {"MoreThanTheGuestHas", kVm, "Service", "MemoryMax", "2049M", ""},
        {"APercentage", kVm, "Service", "MemoryMax", "50%", ""},
        {"OfAHelper", kSound, "Service", "MemoryMax", "64M", ""},
        {"WeakerConfinement", kVm, "Service", "ProtectSystem", "no",
         "ProtectSystem=strict"},
        {"TheSameConfinement", kVm, "Service", "ProtectSystem", "strict", ""},
        {"NoRestart", kSound, "Service", "Restart", "no", ""},
        {"RestartOfTheVm", kVm, "Service", "Restart", "on-failure", ""},
        {"EmptyWhereNothingIsSet", kVm, "Service", "Environment", "", ""},
        {"SpecifiersAreForSystemd", kVm, "Unit", "Documentation",
         "https://example.org/%n", ""},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(OverridesTest, AllFaultsAreNamedAtOnce) {
  config::Config config = ConfigWith(kVm, "Service", "User", {"root"});
  config.units[kSound]["Service"] = {
      {.key = "Type", .values = {"exec"}, .path = "second.path"}};
  Output output = Example();
  EXPECT_THAT(ApplyOverrides(config, UnknownUnit::kRefuse, &output),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("Service.User: "), HasSubstr("\n"),
                             HasSubstr("second.path: "))));
}

TEST(OverridesTest, AsAGeneratorUnitsThatAreNotMadeAreIgnored) {
  Output output = Example();
  EXPECT_THAT(
      ApplyOverrides(ConfigWith("vmsilo-x.service", "Unit", "After", {"a"}),
                     UnknownUnit::kIgnore, &output),
      IsOk());
  EXPECT_EQ(output, Example());
}

TEST(OverridesTest, ADisabledConfigurationHasNoUnits) {
  config::Config config = ConfigWith(kVm, "Service", "MemoryMax", {"3G"});
  config.enable = false;
  Output output;
  EXPECT_THAT(ApplyOverrides(config, UnknownUnit::kRefuse, &output), IsOk());
}

}  // namespace
}  // namespace vmsilo::unitgen
