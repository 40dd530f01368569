// Texts in, a Config or what is wrong with them out. Long, because it is the
// tables of a whole language.

#include "config/load.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

const UserDatabase& Users() {
  static const auto* const users =
      new UserDatabase{.passwd =
                           "root:x:0:0:root:/root:/bin/bash\n"
                           "broken:x:1:1\n"
                           "alice:x:1234:100:Alice,,,:/home/alice:/bin/zsh\n",
                       .group = "root:x:0:\nusers:x:100:alice\n"};
  return *users;
}

LoadResult FromToml(const std::string& text) {
  return Compile({{"t.toml", text, Source::Format::kToml}}, Users());
}

LoadResult FromJson(const std::string& text) {
  return Compile({{"t.json", text, Source::Format::kJson}}, Users());
}

std::vector<std::string> Texts(const LoadResult& result) {
  std::vector<std::string> texts;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    texts.push_back(ToString(diagnostic));
  }
  return texts;
}

// A configuration that loads; `vms` are the lines after the user's.
Config Good(const std::string& vms) {
  LoadResult result = FromToml("user = \"alice\"\n" + vms);
  EXPECT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  return result.ok() ? *std::move(result.config) : Config();
}

TEST(LoadTest, ASiloNeedsOnlyItsName) {
  const LoadResult result = FromToml("user = \"alice\"\n[vms.work]\n");
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(Texts(result), IsEmpty());
  const Config& config = *result.config;
  EXPECT_EQ(config.user, (User{.name = "alice",
                               .uid = 1234,
                               .gid = 100,
                               .group = "users",
                               .home = "/home/alice"}));
  ASSERT_THAT(config.vms, SizeIs(1));
  const Vm& vm = config.vms[0];
  EXPECT_EQ(vm.name, "work");
  EXPECT_EQ(vm.hypervisor, Hypervisor::kCrosvm);
  EXPECT_EQ(vm.color, "#ff0000");
  EXPECT_EQ(vm.memory, GiB(2));
  EXPECT_GE(vm.cid, 0x10000u);
  EXPECT_LT(vm.cid, 0x80000000u);
  ASSERT_TRUE(vm.gpu.has_value());
  EXPECT_EQ(vm.gpu->log_level, "info");
  EXPECT_THAT(vm.shared_home, Optional(std::string("/shared/work")));
  ASSERT_THAT(vm.shared_directories, SizeIs(1));
  EXPECT_EQ(vm.shared_directories[0].tag, "home");
  EXPECT_TRUE(vm.shared_directories[0].is_home);
  EXPECT_THAT(vm.shared_directories[0].translate_uid, IsEmpty());
  EXPECT_THAT(vm.shared_directories[0].translate_gid, IsEmpty());
  EXPECT_TRUE(vm.uses_image());
  EXPECT_EQ(config.FindVm("work"), &vm);
  EXPECT_EQ(config.FindVm("other"), nullptr);
}

TEST(LoadTest, SilosMayReadTheSameDisks) {
  const Config config = Good(
      "[vms.a]\nkernel = \"/k\"\nrootDisk = \"/r\"\ndisks = [\"/a\", "
      "{ path = \"/s\", readOnly = true }]\n"
      "[vms.b]\nkernel = \"/k\"\nrootDisk = \"/r\"\ndisks = [\"/b\", "
      "{ path = \"/s\", readOnly = true }]\n");
  EXPECT_THAT(config.vms, SizeIs(2));
}

TEST(LoadTest, SilosAreInByteOrder) {
  const Config config =
      Good("[vms.a1]\n[vms.Z]\n[vms.a-b]\n[vms.\"app-2\"]\n[vms.app-10]\n");
  std::vector<std::string> names;
  for (const Vm& vm : config.vms) names.push_back(vm.name);
  EXPECT_THAT(names, ElementsAre("Z", "a-b", "a1", "app-10", "app-2"));
}

TEST(LoadTest, JsonAndTomlGiveTheSameConfiguration) {
  const LoadResult toml = FromToml(R"(
user = "alice"
[vms.work]
color = "SteelBlue"
memory = 512
hypervisor = "qemu"
sharedHome = false
kernelParams = ["quiet"]
sharedDirectories.music = "/srv/music"
network.interfaces.wan.tap.bridge = "br0"
[balloond]
pollInterval = "1.5s"
criticalHostPercent = 7.5
)");
  const LoadResult json = FromJson(R"({"user":"alice","nixosVms":{"work":{
"color":"#4682B4","memory":"512M","hypervisor":"qemu","sharedHome":false,
"kernelParams":["quiet"],"gpu":null,"sharedDirectories":{"music":{"path":
"/srv/music","readonly":false}},"network":{"netvm":null,"interfaces":{"wan":
{"type":"tap","tap":{"name":null,"bridge":"br0"}}}}}},"vmsilo-balloond":{
"pollInterval":"1500ms","criticalHostPercent":7.5}})");
  ASSERT_TRUE(toml.ok()) << testing::PrintToString(Texts(toml));
  ASSERT_TRUE(json.ok()) << testing::PrintToString(Texts(json));
  EXPECT_EQ(*toml.config, *json.config);
  const Vm& vm = toml.config->vms[0];
  EXPECT_EQ(vm.color, "#4682b4");
  EXPECT_EQ(vm.memory, MiB(512));
  EXPECT_FALSE(vm.gpu.has_value());
  EXPECT_FALSE(vm.sound.enabled());
  EXPECT_EQ(vm.network.interfaces[0].tap.name, "work-wan");
}

TEST(LoadTest, GraphicsInheritTheHostWideOptions) {
  const Config config = Good(R"(
crosvm.logLevel = "debug"
gpu.allowWX = true
[vms.a]
[vms.b]
gpu = { allowWX = false, logLevel = "warn", opengl = false }
[vms.c]
gpu = false
)");
  EXPECT_TRUE(config.vms[0].gpu->allow_wx);
  EXPECT_EQ(config.vms[0].gpu->log_level, "debug");
  EXPECT_FALSE(config.vms[1].gpu->allow_wx);
  EXPECT_EQ(config.vms[1].gpu->log_level, "warn");
  EXPECT_FALSE(config.vms[1].gpu->opengl);
  EXPECT_FALSE(config.vms[2].gpu.has_value());
}

TEST(LoadTest, HomesAreSharedAsTold) {
  const Config config = Good(R"(
host.sharedHomeDir = "/homes"
[vms.a]
[vms.b]
sharedHome = "/srv/my home"
[vms.c]
sharedHome = false
[vms.d]
sharedHome = true
sharedDirectories = { a = "/a", music = { path = "/m", cache = "never" } }
)");
  EXPECT_THAT(config.vms[0].shared_home, Optional(std::string("/homes/a")));
  EXPECT_EQ(config.vms[1].shared_directories[0].path, "/srv/my home");
  EXPECT_EQ(config.vms[2].shared_home, std::nullopt);
  EXPECT_THAT(config.vms[2].shared_directories, IsEmpty());
  ASSERT_THAT(config.vms[3].shared_directories, SizeIs(3));
  EXPECT_EQ(config.vms[3].shared_directories[1].tag, "home");
  EXPECT_EQ(config.vms[3].shared_directories[2].cache, CachePolicy::kNever);
}

TEST(LoadTest, AConsoleIsAModeOrATable) {
  const Config toml = Good(R"(
[vms.a]
[vms.b]
console = "file"
[vms.c]
console = { scrollback = "4M", log = true }
[vms.d]
console.log = { maxSize = "1M", maxBackups = 0, timestamps = true }
[vms.e]
console = { mode = "off", log = false }
)");
  EXPECT_EQ(toml.vms[0].console, Console());
  EXPECT_EQ(toml.vms[1].console, (Console{.mode = ConsoleMode::kFile}));
  EXPECT_EQ(toml.vms[2].console,
            (Console{.scrollback = MiB(4), .log = ConsoleLog()}));
  EXPECT_EQ(
      toml.vms[3].console,
      (Console{.log = ConsoleLog{
                   .max_size = MiB(1), .max_backups = 0, .timestamps = true}}));
  EXPECT_EQ(toml.vms[4].console, (Console{.mode = ConsoleMode::kOff}));
  const LoadResult json = FromJson(R"({"user":"alice","vms":{"a":{},
"b":{"console":"file"},"c":{"console":{"scrollback":"4M","log":true}},
"d":{"console":{"log":{"maxSize":"1M","maxBackups":0,"timestamps":true}}},
"e":{"console":{"mode":"off","scrollback":null,"log":null}}}})");
  ASSERT_TRUE(json.ok()) << testing::PrintToString(Texts(json));
  EXPECT_EQ(*json.config, toml);
}

TEST(LoadTest, DerivedNamesAreStableAndFit) {
  const Config config = Good(R"(
[vms.banking.network.interfaces.internal]
[vms.work.network.interfaces]
wan = { macAddress = "52:54:00:AB:cd:ef", tap.name = "t0" }
)");
  const Interface& derived = config.vms[0].network.interfaces[0];
  EXPECT_THAT(derived.tap.name, testing::MatchesRegex("banking--[0-9a-f]{6}"));
  EXPECT_THAT(derived.mac_address,
              testing::MatchesRegex("02(:[0-9a-f]{2}){5}"));
  const Interface& given = config.vms[1].network.interfaces[0];
  EXPECT_EQ(given.tap.name, "t0");
  EXPECT_EQ(given.mac_address, "52:54:00:ab:cd:ef");
}

TEST(CidTest, DoesNotMoveWhenAnotherSiloIsAdded) {
  const uint32_t before = Good("[vms.work]\n").vms[0].cid;
  EXPECT_EQ(Good("[vms.aaa]\n[vms.work]\n").FindVm("work")->cid, before);
}

TEST(CidTest, SequentialIsByPosition) {
  const Config config = Good(
      "cidAssignment = \"sequential\"\n[vms.b]\n[vms.a]\n[vms.c]\ncid = 9\n");
  EXPECT_EQ(config.FindVm("a")->cid, 3u);
  EXPECT_EQ(config.FindVm("b")->cid, 4u);
  EXPECT_EQ(config.FindVm("c")->cid, 9u);
}

TEST(LoadTest, UnitSettingsGoToTheUnitsWholeName) {
  const Config config = Good(R"(
units.vmsilo-balloond.Service.MemoryMax = "64M"
[vms.work.units.vm.Service]
Environment = ["A=1", "B=2"]
CPUWeight = 50
OOMPolicy = "kill"
[vms.work.units.proxy.Unit]
JoinsNamespaceOf = "x.service"
[units."vmsilo-work-vm.service".Service]
Nice = -5
PrivateTmp = true
)");
  ASSERT_THAT(config.units, SizeIs(3));
  const auto& lines = config.units.at("vmsilo-work-vm.service").at("Service");
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_EQ(lines[0].key, "CPUWeight");
  EXPECT_THAT(lines[0].values, ElementsAre("50"));
  EXPECT_THAT(lines[1].values, ElementsAre("A=1", "B=2"));
  EXPECT_EQ(lines[1].path, "vms.work.units.vm.Service.Environment");
  EXPECT_THAT(lines[4].values, ElementsAre("yes"));
  EXPECT_EQ(config.units.count("vmsilo-balloond.service"), 1u);
  EXPECT_EQ(config.units.count("vmsilo-work@.service"), 1u);
}

// ---- Errors ---------------------------------------------------------------

TEST(DiagnosticsTest, AllErrorsOfAFileComeInOneRunInItsOrder) {
  const LoadResult result = FromToml(R"(user = "alice"
[vms.work]
memroy = "2G"
cpus = 0
memory = "2GB"
hypervisor = "xen"
color = "blurple"
rootDisk = { readOnly = 1 }
[vms."no good"]
[vms.other.network.interfaces.x.tap]
name = "much-too-long-name"
)");
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(
      Texts(result),
      ElementsAre(
          "t.toml:3:1: error: vms.work.memroy: unknown key; did you mean "
          "'memory'?",
          "t.toml:4:8: error: vms.work.cpus: expected an integer between 1 "
          "and 256, not 0",
          "t.toml:5:10: error: vms.work.memory: expected a size of whole MiB "
          "between \"16M\" and \"16T\", such as \"2G\", not '2GB'",
          "t.toml:6:14: error: vms.work.hypervisor: expected \"crosvm\", "
          "\"cloud-hypervisor\" or \"qemu\", not 'xen'",
          "t.toml:7:9: error: vms.work.color: expected a CSS colour name such "
          "as \"steelblue\", or \"#rrggbb\", not 'blurple'",
          "t.toml:8:12: error: vms.work.rootDisk: the key 'path' is missing",
          "t.toml:8:25: error: vms.work.rootDisk.readOnly: expected true or "
          "false, not 1",
          "t.toml:9:6: error: vms.\"no good\": the key is not a name of at "
          "most 64 letters, digits, '_', '.' and '-' that begins with a letter "
          "or digit",
          "t.toml:11:8: error: vms.other.network.interfaces.x.tap.name: "
          "expected a network interface's name of at most 15 bytes: letters, "
          "digits, '_', '.' and '-', not 'much-too-long-name'"));
}

TEST(DiagnosticsTest, ErrorsOfAllFilesComeInOneRun) {
  const LoadResult result = Compile(
      {{"a.toml", "user = 3\n[vms.work]\nx = = 1\n", Source::Format::kToml},
       {"b.json", "{\"vms\": {\"work\": {\"cpu\": 2}}}", Source::Format::kJson},
       {"c.json", "[]", Source::Format::kJson}},
      Users());
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(
      Texts(result),
      ElementsAre(
          "a.toml:1:8: error: user: expected a user's name of at most 31 "
          "letters, digits, '_', '.' and '-' that begins with a letter or "
          "'_', not 3",
          HasSubstr("a.toml:3:5: error: TOML: "),
          "b.json:1:19: error: vms.work.cpu: unknown key; did you mean "
          "'cpus'?",
          "c.json:1:1: error: expected a table at the top, not an array"));
}

struct ErrorCase {
  const char* name;
  // After `user = "alice"`.
  const char* text;
  // The only diagnostic, after "t.toml:".
  const char* want;
};
class ErrorTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ErrorTest, IsReported) {
  const LoadResult result =
      FromToml(absl::StrCat("user = \"alice\"\n", GetParam().text));
  EXPECT_THAT(Texts(result),
              ElementsAre(absl::StrCat("t.toml:", GetParam().want)));
  EXPECT_EQ(result.ok(), !absl::StrContains(GetParam().want, " error: "));
}

INSTANTIATE_TEST_SUITE_P(
    References, ErrorTest,
    testing::ValuesIn(std::vector<ErrorCase>{
        {"UnknownDependency", "[vms.work]\ndependsOn = [\"wrok\"]\n",
         "3:14: error: vms.work.dependsOn[0]: there is no silo 'wrok'; did "
         "you mean 'work'?"},
        {"UnknownNetvm", "[vms.work]\nnetwork.netvm = \"firewall\"\n",
         "3:9: error: vms.work.network.netvm: there is no silo 'firewall'"},
        {"NetvmWithoutNetwork",
         "[vms.net]\n[vms.work]\nnetwork.netvm = \"net\"\n",
         "4:9: error: vms.work.network.netvm: 'net' does not offer its "
         "network; set vms.net.network.isNetvm = true"},
        {"DependsOnItself", "[vms.work]\ndependsOn = [\"work\"]\n",
         "3:1: error: vms.work.dependsOn: silos wait for each other: work -> "
         "work"},
        {"Cycle",
         "[vms.a]\ndependsOn = [\"b\"]\n[vms.b]\nnetwork.netvm = \"c\"\n"
         "network.interfaces.x.tap.bridge = \"y\"\n"
         "[vms.c]\nnetwork.isNetvm = true\ndependsOn = [\"a\"]\n",
         "9:1: error: vms.c.dependsOn: silos wait for each other: a -> b -> c "
         "-> a"},
        {"MisspeltRole", "[vms.work.units.vmm.Service]\nNice = 1\n",
         "2:17: error: vms.work.units.vmm: a silo has no unit of this short "
         "name; did you mean 'vm'?"},
        {"UnknownRole", "[vms.work.units.network.Service]\nNice = 1\n",
         "2:17: error: vms.work.units.network: a silo has no unit of this "
         "short "
         "name; there are 'vm', 'socket', 'proxy', 'prep', 'console-relay', "
         "'console-socket', "
         "'virtiofsd-TAG', 'sound', 'tray', 'wayland-seccontext', 'gpu', "
         "'usb-attach' and 'session-bind'"},
    }),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Collisions, ErrorTest,
    testing::ValuesIn(std::vector<ErrorCase>{
        {"UsbAttachTemplate", "[vms.usb-attach]\n",
         "2:6: error: vms.usb-attach: the unit vmsilo-usb-attach@.service of "
         "silo 'usb-attach' is that of the host, too; choose another name"},
        {"ShareAndSilo",
         "[vms.x]\nsharedDirectories.vm = \"/a\"\n[vms.x-virtiofsd]\n",
         "4:6: error: vms.x-virtiofsd: the unit vmsilo-x-virtiofsd-vm.service "
         "of silo 'x-virtiofsd' is that of share 'vm' of silo 'x', too; "
         "choose another name"},
        {"Cids", "[vms.a]\ncid = 3\n[vms.b]\ncid = 3\n",
         "5:1: error: vms.b.cid: the silo would have the vsock address 3, as "
         "'a' has; set cid = 4"},
        {"SequentialCid",
         "cidAssignment = \"sequential\"\n[vms.a]\n[vms.b]\ncid = 3\n",
         "3:6: error: vms.a.cid: the silo would have the vsock address 3, as "
         "'b' has; set cid = 4"},
        {"Host", "[vms.host]\n",
         "2:6: error: vms.host: a silo cannot be called 'host': that means "
         "the host"},
        {"Usb",
         "[vms.a]\nusbDevices = [{vendorId = \"046D\", productId = \"c52b\"}]\n"
         "[vms.b]\nusbDevices = [{vendorId = \"1111\", productId = \"2222\"},\n"
         "{vendorId = \"046d\", productId = \"C52B\", serial = \"1\"}]\n",
         "6:1: error: vms.b.usbDevices[1]: the device 046d:c52b is already "
         "claimed by silo 'a'; if there are two of them, give both a "
         "'serial'"},
        {"UsbWithSerialFirst",
         "[vms.a]\nusbDevices = [{vendorId = \"046d\", productId = "
         "\"c52b\", serial = \"1\"}]\n"
         "[vms.b]\nusbDevices = [{vendorId = \"046d\", productId = "
         "\"c52b\"}]\n",
         "5:15: error: vms.b.usbDevices[0]: the device 046d:c52b is already "
         "claimed by silo 'a'; if there are two of them, give both a "
         "'serial'"},
        {"UsbSerialTwice",
         "[vms.a]\nusbDevices = [{vendorId = \"046d\", productId = "
         "\"c52b\", serial = \"1\"}]\n"
         "[vms.b]\nusbDevices = [{vendorId = \"046d\", productId = "
         "\"c52b\", serial = \"2\"}]\n"
         "[vms.c]\nusbDevices = [{vendorId = \"046d\", productId = "
         "\"c52b\", serial = \"1\"}]\n",
         "7:15: error: vms.c.usbDevices[0]: the device 046d:c52b is already "
         "claimed by silo 'a'; if there are two of them, give both a "
         "'serial'"},
        {"Taps",
         "[vms.a.network.interfaces.x.tap]\nname = \"t\"\n"
         "[vms.b.network.interfaces.x.tap]\nname = \"t\"\n",
         "5:1: error: vms.b.network.interfaces.x.tap.name: the TAP interface "
         "'t' is already one of silo 'a'; set another name"},
        {"BridgeIsTap",
         "[vms.a.network.interfaces.x.tap]\nname = \"br0\"\n"
         "bridge = \"br0\"\n",
         "4:1: error: vms.a.network.interfaces.x.tap.bridge: the bridge has "
         "the TAP interface's name"},
        {"HostAddressAndBridge",
         "[vms.a.network.interfaces.x.tap]\nbridge = \"br0\"\n"
         "hostAddress = \"10.0.0.1/24\"\n",
         "4:1: error: vms.a.network.interfaces.x.tap.hostAddress: an interface "
         "in a bridge has no address of its own: either 'hostAddress' or "
         "'bridge'"},
        {"BothNames", "[vms.a]\ninitrd = \"/i\"\ninitramfs = \"/i\"\n",
         "4:1: error: vms.a.initramfs: this is another name for 'initrd', "
         "which is on line 3 too"},
    }),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Capabilities, ErrorTest,
    testing::ValuesIn(std::vector<ErrorCase>{
        {"QemuGraphics", "[vms.a]\nhypervisor = \"qemu\"\ngpu = true\n",
         "4:1: error: vms.a.gpu: QEMU cannot show a guest's windows on the "
         "desktop; set hypervisor = \"crosvm\", or gpu = false"},
        {"QemuSound", "[vms.a]\nhypervisor = \"qemu\"\nsound = true\n",
         "4:1: error: vms.a.sound: QEMU has had a sound device for this since "
         "9.0; set qemu.version if yours is newer, or sound = false"},
        {"CloudHypervisorGraphics",
         "[vms.a]\nhypervisor = \"cloud-hypervisor\"\n",
         "2:6: warning: vms.a.gpu: released versions of Cloud Hypervisor "
         "cannot use the GPU back end (crosvm can); gpu = false leaves it "
         "out"},
        {"CloudHypervisorUsb",
         "[vms.a]\nhypervisor = \"cloud-hypervisor\"\ngpu = false\n"
         "usbDevices = [{ vendorId = \"1234\", productId = \"5678\" }]\n",
         "5:1: warning: vms.a.usbDevices: Cloud Hypervisor has no USB; the "
         "devices stay with the host (crosvm and qemu have USB)"},
        {"CloudHypervisorTray",
         "[vms.a]\nhypervisor = \"cloud-hypervisor\"\ngpu = false\n"
         "tray.enable = true\n",
         "5:1: warning: vms.a.tray: the tray does not work under Cloud "
         "Hypervisor and is left out (it does under crosvm and qemu)"},
        {"CloudHypervisorOldSound",
         "cloud-hypervisor.version = \"51.0\"\n[vms.a]\n"
         "hypervisor = \"cloud-hypervisor\"\ngpu = false\n"
         "sound.capture = true\n",
         "6:1: error: vms.a.sound: Cloud Hypervisor has had a device for sound "
         "since 52.0; set cloud-hypervisor.version if yours is newer, or "
         "sound = false"},
        {"CloudHypervisorThatGuesses",
         "cloud-hypervisor.version = \"50.0\"\n[vms.a]\n"
         "hypervisor = \"cloud-hypervisor\"\ngpu = false\nsound = false\n",
         "4:1: error: vms.a.hypervisor: Cloud Hypervisor before 51.0 guesses "
         "the format of disks, so that a guest can make it read files of the "
         "host; set cloud-hypervisor.version if yours is newer, or give the "
         "silo no disk to write to"},
        {"CloudHypervisorErrno",
         "cloud-hypervisor = { version = \"50.0\", seccomp = \"errno\" }\n",
         "2:40: error: cloud-hypervisor.seccomp: \"errno\" needs "
         "cloud-hypervisor.version 53.0 or newer"},
        {"CrosvmQcow2Overlay", "[vms.a]\nrootOverlay.type = \"qcow2\"\n",
         "3:13: error: vms.a.rootOverlay.type: crosvm makes no qcow2 overlays "
         "(qemu does); \"raw\" and \"tmpfs\" work everywhere"},
        {"NoGraphicsInGraphics",
         "[vms.a]\ngpu = { wayland = false, opengl = false }\n",
         "3:1: error: vms.a.gpu: graphics without wayland and opengl are "
         "none; set gpu = false"},
        {"LogWithoutRelay",
         "[vms.a]\nconsole = { mode = \"file\", log = true }\n",
         "3:28: error: vms.a.console.log: a console with mode = \"file\" has "
         "no log; set mode = \"relay\""},
        {"ScrollbackWithoutConsole",
         "[vms.a]\nconsole = { mode = \"off\", scrollback = \"1M\" }\n",
         "3:27: error: vms.a.console.scrollback: a console with mode = "
         "\"off\" has no scrollback; set mode = \"relay\""},
        {"ScrollbackTooLarge", "[vms.a]\nconsole.scrollback = \"257M\"\n",
         "3:22: error: vms.a.console.scrollback: expected a size between "
         "\"4K\" and \"256M\", not '257M'"},
        {"LogTooSmall", "[vms.a]\nconsole.log.maxSize = \"4095B\"\n",
         "3:23: error: vms.a.console.log.maxSize: expected a size between "
         "\"4K\" and \"1T\", not '4095B'"},
        {"TooManyBackups", "[vms.a]\nconsole.log.maxBackups = 101\n",
         "3:26: error: vms.a.console.log.maxBackups: expected an integer "
         "between 0 and 100, not 101"},
        {"ConsoleOfNoKind", "[vms.a]\nconsole = 1\n",
         "3:11: error: vms.a.console: expected \"relay\", \"file\" or "
         "\"off\", or a table, not 1"},
        {"TooMuchGuaranteed",
         "[vms.a]\nmemory = \"1G\"\nmemoryGuaranteed = 1025\n",
         "4:1: error: vms.a.memoryGuaranteed: more than the silo's memory, "
         "1G"},
        {"PciDeviceTwice",
         "[vms.a]\npciDevices = [\"03:00.0\", { path = \"0000:03:00.0\" }]\n",
         "3:26: error: vms.a.pciDevices[1]: the device 0000:03:00.0 is there "
         "twice"},
        {"PciDeviceOfAnotherSilo",
         "[vms.a]\npciDevices = [\"03:00.0\"]\n"
         "[vms.b]\npciDevices = [\"0000:03:00.0\"]\n",
         "5:15: error: vms.b.pciDevices[0]: the device 0000:03:00.0 is already "
         "claimed by silo 'a'"},
        {"TwoSilosWriteOneDisk",
         "[vms.a]\ndisks = [\"/d\"]\n[vms.b]\ndisks = [\"/x/..//d\"]\n",
         "5:10: error: vms.b.disks[0]: /x/..//d is a disk of silo 'a', too: "
         "two "
         "silos that write to one disk destroy it"},
        {"OneSiloTwice", "[vms.a]\ndisks = [\"/d\", \"/d\"]\n",
         "3:16: error: vms.a.disks[1]: /d is there twice, and the silo may "
         "write to it"},
        {"DiskThatAnotherReads",
         "[vms.a]\ndisks = [\"/d\"]\n[vms.b]\ndisks = [{ path = \"/d\", "
         "readOnly = true }]\n",
         "5:10: error: vms.b.disks[0]: silo 'a' may write to /d: what one silo "
         "writes, no other may read or boot; set readOnly = true there, or "
         "copy the file"},
        {"DiskThatAnotherBoots",
         "[vms.a]\nkernel = \"/k\"\nrootDisk = \"/d\"\n[vms.b]\n"
         "disks = [\"/d\"]\n",
         "6:10: error: vms.b.disks[0]: silo 'a' uses /d, too: what one silo "
         "writes, no other may read or boot; set readOnly = true here, or copy "
         "the file"},
        {"DiskOfAnImage",
         "[vms.a]\ndisks = [\"/var/lib/vmsilo/images/default/root.img\"]\n",
         "3:10: error: vms.a.disks[0]: a silo that may write to what is below "
         "/var/lib/vmsilo/images may change what others boot; choose another "
         "place, or set readOnly = true"},
        {"DiskOfAnImageElsewhere",
         "[images.x]\nrootDisk = \"/srv/x.img\"\n[vms.a]\n"
         "disks = [\"/srv/x.img\"]\n",
         "5:10: error: vms.a.disks[0]: /srv/x.img belongs to the image 'x', "
         "and "
         "a silo that may write to it may change what others boot; set "
         "readOnly = true"},
        {"AnotherSilosOverlay",
         "[vms.a]\ndisks = [\"/var/lib/vmsilo/overlays/b.raw\"]\n",
         "3:10: error: vms.a.disks[0]: a silo that may write to what is below "
         "/var/lib/vmsilo/overlays may change what others boot; choose another "
         "place, or set readOnly = true"},
        {"IdMapOfARange",
         "[vms.a]\nsharedDirectories.x = { path = \"/x\", uidMap = "
         "\":0:100000:65536:\" }\n",
         "3:38: error: vms.a.sharedDirectories.x.uidMap: virtiofsd runs as "
         "alice, who can map no other id than 1234: \":0:1234:1:\" is all "
         "there is; see translateUid"},
        {"IdMapOfRoot",
         "[vms.a]\nsharedDirectories.x = { path = \"/x\", gidMap = "
         "\":0:100:1:\", runAsRoot = true }\n",
         "3:38: error: vms.a.sharedDirectories.x.gidMap: virtiofsd takes it "
         "only where it does not run as root; remove it or runAsRoot"},
        {"FileHandlesOfAUser",
         "[vms.a]\nsharedDirectories.x = { path = \"/x\", inodeFileHandles = "
         "\"mandatory\" }\n",
         "3:38: error: vms.a.sharedDirectories.x.inodeFileHandles: only root "
         "can open files by their handles; set runAsRoot = true if the guest "
         "may have all that is in the directory, or remove it"},
        {"AccessListsAndTranslation",
         "[vms.a]\nsharedDirectories.x = { path = \"/x\", posixAcl = true, "
         "translateUid = \"map:1:1:1\" }\n",
         "3:38: error: vms.a.sharedDirectories.x.posixAcl: virtiofsd does not "
         "translate the ids in access control lists: either posixAcl or "
         "translateUid and translateGid"},
        {"CloudHypervisorLandlock",
         "[cloud-hypervisor]\nversion = \"40.0\"\nlandlock = true\n",
         "4:1: error: cloud-hypervisor.landlock: Landlock needs "
         "cloud-hypervisor.version 41.0 or newer"},
        {"HomeShare", "[vms.a]\nsharedDirectories.home = \"/h\"\n",
         "3:19: note: vms.a.sharedDirectories.home: accepted, but without "
         "effect: the tag 'home' is sharedHome's; set sharedHome = false, or "
         "choose another tag"},
    }),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, ErrorTest,
    testing::ValuesIn(std::vector<ErrorCase>{
        {"Date", "[vms.a]\ncolor = 2020-01-01\n",
         "3:9: error: vms.a.color: expected a CSS colour name such as "
         "\"steelblue\", or \"#rrggbb\", not a date or time"},
        {"TableForList", "[vms.a]\ndependsOn = {}\n",
         "3:13: error: vms.a.dependsOn: expected a list, not a table"},
        {"ListElement", "[vms.a]\nkernelParams = [\"a\", 1]\n",
         "3:22: error: vms.a.kernelParams[1]: expected a string without line "
         "breaks and other control characters, not 1"},
        {"RelativePath", "[vms.a]\nkernel = \"vmlinuz\"\n",
         "3:10: error: vms.a.kernel: expected an absolute path without "
         "control characters, not 'vmlinuz'"},
        {"UsbId",
         "[vms.a]\nusbDevices = [{vendorId = \"46d\", productId = "
         "\"c52b\"}]\n",
         "3:27: error: vms.a.usbDevices[0].vendorId: expected four hexadecimal "
         "digits such as \"046d\", not '46d'"},
        {"NotANumber", "balloond.psiCeiling = nan\n",
         "2:23: error: balloond.psiCeiling: expected a number between 0 and "
         "100, not nan"},
        {"Infinite", "balloond.psiCeiling = inf\n",
         "2:23: error: balloond.psiCeiling: expected a number between 0 and "
         "100, not inf"},
        {"NoTime", "balloond.pollInterval = \"0s\"\n",
         "2:25: error: balloond.pollInterval: expected a duration between "
         "\"100ms\" and \"1m\", not '0s'"},
        {"TooOften", "balloond.minPollInterval = \"49ms\"\n",
         "2:28: error: balloond.minPollInterval: expected a duration between "
         "\"50ms\" and \"1m\", not '49ms'"},
        {"NothingForTheHost", "balloond.criticalHostPercent = 0.9\n",
         "2:32: error: balloond.criticalHostPercent: expected a number between "
         "1 and 50, not 0.9"},
        {"ManyLooks",
         "balloond = { pollInterval = \"1s\", minPollInterval = \"2s\" }\n",
         "2:35: error: balloond.minPollInterval: more than pollInterval, 1s"},
        {"Version", "qemu.version = 7.2\n",
         "2:16: error: qemu.version: expected a version as a string, such as "
         "\"7.2\", not 7.2"},
        {"UnitSection", "units.x.service.Nice = 1\n",
         "2:9: error: units.x.service: the key is not a section such as 'Unit' "
         "or 'Service'"},
        {"UnitValue", "units.x.Service.Nice = {}\n",
         "2:24: error: units.x.Service.Nice: expected a boolean, a number, a "
         "string without line breaks or a list of these, not a table"},
        {"UnknownWithFewKeys", "hostNetworking.bridges = 1\n",
         "2:16: error: hostNetworking.bridges: unknown key; there are "
         "'networkd'"},
        {"Unknown", "something = 1\n",
         "2:1: error: something: unknown key; vmsilo.toml(5) lists the keys of "
         "the file's top level"},
    }),
    [](const auto& test) { return test.param.name; });

TEST(SocketPathTest, ANameIsAsLongAsItsSocketsAllow) {
  const auto load = [](size_t size) {
    return FromToml(absl::StrCat("user = \"alice\"\n[vms.",
                                 std::string(size, 'x'),
                                 "]\nhypervisor = \"cloud-hypervisor\"\n"
                                 "gpu = false\nsharedHome = false\n"));
  };
  size_t longest = 1;
  while (longest < 64 && load(longest + 1).ok()) ++longest;
  EXPECT_EQ(
      layout::CloudHypervisorControlSocket(std::string(longest, 'x')).size(),
      107u);
  EXPECT_THAT(Texts(load(longest + 1)),
              ElementsAre(HasSubstr("has 108 bytes, but Linux takes 107 only; "
                                    "choose a name that is 1 byte shorter")));
}

TEST(SocketPathTest, SharesAreChecked) {
  const std::string silo(50, 's');
  const std::string tag(36, 't');
  EXPECT_THAT(Texts(FromToml(absl::StrCat("user = \"alice\"\n[vms.", silo,
                                          "]\nsharedDirectories.", tag,
                                          " = \"/x\"\n"))),
              ElementsAre(testing::AllOf(HasSubstr("t.toml:3:19: error: "),
                                         HasSubstr("virtiofs.socket"))));
}

TEST(HypervisorUserTest, TwoSilosNeverShareOne) {
  // The name that the other one's is shortened to.
  const std::string other =
      layout::HypervisorUser("a.b").substr(std::string("vmsilo-").size());
  EXPECT_THAT(
      Texts(FromToml(absl::StrCat("user = \"alice\"\n[vms.\"a.b\"]\n[vms.",
                                  other, "]\n"))),
      ElementsAre(HasSubstr("would run as the same user, vmsilo-a_b-")));
}

TEST(SharedDirectoryTest, TagsHaveTheirLimit) {
  const auto load = [](size_t size) {
    return FromToml(absl::StrCat("user = \"alice\"\n[vms.a]\n",
                                 "sharedDirectories.", std::string(size, 't'),
                                 " = \"/x\"\n"));
  };
  EXPECT_TRUE(load(36).ok());
  EXPECT_THAT(Texts(load(37)), ElementsAre(HasSubstr("at most 36 bytes")));
}

// ---- The prototype's options ----------------------------------------------

TEST(PrototypeTest, OptionsWithoutEffectAreNotedOnce) {
  const LoadResult result = FromJson(R"({
"user": "alice", "netvmRange": "10.200.0.0/16",
"nixosVms": {
"a": {"waylandProxy": "sommelier", "autoShutdown": {"enable": true}},
"b": {"waylandProxy": "sommelier", "description": "B", "guestConfig": null,
"additionalDisks": [{"path": "/d", "readonly": true}], "initramfs": "/i"}},
"cloud-hypervisor": {"logLevel": "info"}})");
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_THAT(
      Texts(result),
      ElementsAre(
          "t.json:2:18: note: netvmRange: accepted, but without effect: a "
          "guest sets its addresses itself, by its image or by DHCP",
          HasSubstr("t.json:4:7: note: vms.a.waylandProxy: accepted, but"),
          HasSubstr("t.json:4:36: note: vms.a.autoShutdown: accepted, but"),
          HasSubstr("t.json:7:22: note: cloud-hypervisor.logLevel: ")));
  const Vm& b = result.config->vms[1];
  EXPECT_THAT(b.description, Optional(std::string("B")));
  EXPECT_THAT(b.initrd, Optional(std::string("/i")));
  ASSERT_THAT(b.disks, SizeIs(1));
  EXPECT_TRUE(b.disks[0].read_only);
}

TEST(PrototypeTest, DisabledNeedsNoUser) {
  const LoadResult result = FromJson(R"({"enable": false})");
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_FALSE(result.config->enable);
}

// As generators of JSON print numbers.
TEST(LoadTest, AnIntegerMayBeWrittenAsARealNumber) {
  const LoadResult result = FromJson(
      R"({"user": "alice", "vms": {"a": {"memory": 1e3, "cpus": 2.0}}})");
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_EQ(result.config->vms[0].memory, MiB(1000));
  EXPECT_EQ(result.config->vms[0].cpus, 2u);
  for (const char* number : {"1000.5", "1e300", "-1.0"}) {
    EXPECT_FALSE(
        FromJson(absl::StrCat(R"({"user": "alice", "vms": {"a": {"memory": )",
                              number, "}}}"))
            .ok())
        << number;
  }
}

TEST(LoadTest, ANetvmWithoutAnInterfaceIsNoNetwork) {
  const char* kVms =
      "user = \"alice\"\n[vms.net]\nnetwork.isNetvm = true\n"
      "[vms.work]\nnetwork.netvm = \"net\"\n";
  EXPECT_THAT(Texts(FromToml(kVms)),
              ElementsAre(HasSubstr("t.toml:5:9: warning: vms.work.network."
                                    "netvm: the silo has no network")));
  EXPECT_THAT(Texts(FromToml(absl::StrCat(
                  kVms, "network.interfaces.wan.tap.bridge = \"br0\"\n"))),
              IsEmpty());
}

// ---- The user -------------------------------------------------------------

TEST(UserTest, IsAPerson) {
  EXPECT_THAT(
      Texts(FromToml("user = \"root\"\n[vms.a]\n")),
      ElementsAre(HasSubstr("t.toml:1:1: warning: user: this is root")));
  EXPECT_THAT(
      Texts(FromToml("user = \"alice\"\nhost.uid = 0\n[vms.a]\n")),
      ElementsAre(HasSubstr("t.toml:2:6: warning: host.uid: this is root")));
}

TEST(UserTest, MustBeThere) {
  EXPECT_THAT(Texts(FromToml("[vms.a]\n")),
              ElementsAre("t.toml:1:1: error: user: the desktop user's name is "
                          "missing: user = \"NAME\""));
}

TEST(UserTest, MustBeKnownOrDescribed) {
  EXPECT_THAT(Texts(FromToml("user = \"bob\"\nhost.uid = 7\n")),
              ElementsAre("t.toml:1:1: error: user: 'bob' is not in "
                          "/etc/passwd; mend the name, or set host.gid, "
                          "host.home"));
  const LoadResult result = Compile(
      {{"t.toml",
        "user = \"bob\"\nhost = { uid = 7, gid = 8, home = \"/home/bob\" }\n",
        Source::Format::kToml}},
      {});
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_EQ(result.config->user, (User{.name = "bob",
                                       .uid = 7,
                                       .gid = 8,
                                       .group = "8",
                                       .home = "/home/bob"}));
}

TEST(UserTest, HostOverridesTheDatabase) {
  const Config config =
      Good("host = { uid = 5, group = \"staff\", home = \"/h\" }\n");
  EXPECT_EQ(config.user, (User{.name = "alice",
                               .uid = 5,
                               .gid = 100,
                               .group = "staff",
                               .home = "/h"}));
}

// ---- Several files --------------------------------------------------------

TEST(DropInTest, LaterFilesWinByKeyAndOriginsAreKnown) {
  const LoadResult result = Compile(
      {{"main.toml",
        "user = \"alice\"\n[vms.work]\nmemory = \"1G\"\ncpus = 4\n"
        "kernelParams = [\"a\"]\n[vms.old]\n",
        Source::Format::kToml},
       {"10.json",
        "{\"nixosVms\": {\"work\": {\"memory\": \"3G\", \"kernelParams\": "
        "[\"b\"]},\n\"a.b\": {\"cpus\": 1}, \"old\": null}}",
        Source::Format::kJson}},
      Users());
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  ASSERT_THAT(result.config->vms, SizeIs(2));
  const Vm& work = *result.config->FindVm("work");
  EXPECT_EQ(work.memory, GiB(3));
  EXPECT_EQ(work.cpus, 4u);
  EXPECT_THAT(work.kernel_params, ElementsAre("b"));
  EXPECT_THAT(result.OriginOf("vms.work.memory"),
              Optional(Origin{"10.json", 1, 24}));
  EXPECT_THAT(result.OriginOf("vms.work.cpus"),
              Optional(Origin{"main.toml", 4, 1}));
  EXPECT_THAT(result.OriginOf("vms.work.kernelParams[0]"),
              Optional(Origin{"10.json", 1, 40}));
  EXPECT_THAT(result.OriginOf("vms.work"), Optional(Origin{"main.toml", 2, 6}));
  EXPECT_THAT(result.OriginOf("vms.\"a.b\".cpus"),
              Optional(Origin{"10.json", 2, 9}));
  EXPECT_THAT(result.OriginOf("vms.a.b.cpus"),
              Optional(Origin{"10.json", 2, 9}));
  EXPECT_EQ(result.OriginOf("vms.work.color"), std::nullopt);
  EXPECT_EQ(result.OriginOf("vms.old"), std::nullopt);
  EXPECT_EQ(result.OriginOf(""), std::nullopt);
}

// ---- Limits ---------------------------------------------------------------

TEST(LimitTest, DiagnosticsEndWithACount) {
  std::string text = "user = \"alice\"\n";
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&text, "k", i, " = 1\n");
  const LoadResult result = FromToml(text);
  ASSERT_THAT(result.diagnostics, SizeIs(kMaxDiagnostics + 1));
  EXPECT_EQ(ToString(result.diagnostics.back()), "error: and 800 more");
}

TEST(LimitTest, TooManySilosAreRefused) {
  std::string text = "{\"user\":\"alice\",\"vms\":{\"a\":{}";
  for (int i = 0; i < 2000; ++i) absl::StrAppend(&text, ",\"a", i, "\":{}");
  EXPECT_THAT(Texts(FromJson(text + "}}")),
              ElementsAre("t.json:1:23: error: vms: more than 2000 entries"));
}

TEST(LimitTest, LongDependencyChainsAreFine) {
  std::string text = "user = \"alice\"\n[vms.v0]\n";
  for (int i = 1; i < 2000; ++i) {
    absl::StrAppend(&text, "[vms.v", i, "]\ndependsOn = [\"v", i - 1, "\"]\n");
  }
  EXPECT_TRUE(FromToml(text).ok());
}

}  // namespace
}  // namespace vmsilo::config
