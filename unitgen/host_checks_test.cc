#include "unitgen/host_checks.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class FakeHost : public Host {
 public:
  std::optional<FileFacts> Stat(const std::string& path) override {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::string> Read(const std::string& path) override {
    const auto found = contents.find(path);
    if (found == contents.end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::string> VersionText(const std::string& program) override {
    asked.push_back(program);
    const auto found = versions.find(program);
    if (found == versions.end()) return std::nullopt;
    return found->second;
  }

  std::map<std::string, FileFacts> files;
  std::map<std::string, std::string> contents;
  std::map<std::string, std::string> versions;
  std::vector<std::string> asked;
};

constexpr Host::FileFacts kProgram = {Host::FileKind::kRegular, 0755};
constexpr Host::FileFacts kFile = {Host::FileKind::kRegular, 0644};
constexpr Host::FileFacts kDirectory = {Host::FileKind::kDirectory, 0755};
constexpr Host::FileFacts kDevice = {Host::FileKind::kOther, 0660};
constexpr char kDebianQemu[] =
    "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\n"
    "Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project "
    "developers\n";
constexpr char kVirtiofsdInC[] =
    "virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\n"
    "Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project "
    "developers\nusing FUSE kernel interface version 7.36\n";

// A silo for which everything is there.
class CheckHostTest : public testing::Test {
 protected:
  CheckHostTest() {
    config_.vms.emplace_back();
    config::Vm& vm = config_.vms[0];
    vm.name = "work";
    vm.hypervisor = config::Hypervisor::kQemu;
    config::SharedDirectory share;
    share.tag = "music";
    share.path = "/srv/music";
    vm.shared_directories = {share};
    output_.files["systemd/system/vmsilo-work-vm.service"] =
        File{.content =
                 "[Service]\nExecStart=/usr/bin/qemu-system-x86_64 -m 1"
                 "\nExecStopPost=+/usr/bin/rm -f -- /x\n"};
    host_.files = {
        {"/usr/bin/qemu-system-x86_64", kProgram},
        {"/usr/bin/rm", kProgram},
        {"/usr/libexec/virtiofsd", kProgram},
        {"/dev/kvm", kDevice},
        {"/dev/vhost-vsock", kDevice},
        {"/srv/music", kDirectory},
        {"/var", kDirectory},
        {"/var/lib", kDirectory},
        {"/var/lib/vmsilo", kDirectory},
        {"/var/lib/vmsilo/images", kDirectory},
        {"/var/lib/vmsilo/images/default", kDirectory},
        {"/var/lib/vmsilo/images/default/vmlinuz", kFile},
        {"/var/lib/vmsilo/images/default/initrd", kFile},
        {"/var/lib/vmsilo/images/default/root.img", kFile},
    };
    host_.versions = {{"/usr/bin/qemu-system-x86_64", kDebianQemu},
                      {"/usr/libexec/virtiofsd", "virtiofsd 1.13.0\n"}};
  }

  std::vector<Warning> Check() { return CheckHost(config_, output_, &host_); }

  config::Config config_;
  Output output_;
  FakeHost host_;
};

auto Is(const char* key, const char* message) {
  return AllOf(Field(&Warning::key, key),
               Field(&Warning::message, HasSubstr(message)));
}

TEST_F(CheckHostTest, NothingToSayWhereEverythingIsThere) {
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, NamesMissingProgramsAndWhoNeedsThem) {
  host_.files.erase("/usr/bin/qemu-system-x86_64");
  host_.files["/usr/bin/rm"] = kFile;
  output_.files["systemd/system/vmsilo-a.service"] =
      File{.content = "[Service]\nExecStartPre=-/usr/bin/rm -f /y\n"};
  EXPECT_THAT(Check(),
              UnorderedElementsAre(
                  Is("paths.qemu",
                     "/usr/bin/qemu-system-x86_64 is not there, or not a "
                     "program; vmsilo-work-vm.service needs it"),
                  Is("paths",
                     "/usr/bin/rm is not there, or not a program; "
                     "vmsilo-a.service and 1 more need it")));
}

TEST_F(CheckHostTest, TellsTheVirtiofsdsApart) {
  host_.versions["/usr/libexec/virtiofsd"] = kVirtiofsdInC;
  EXPECT_THAT(Check(), ElementsAre(Is("paths.virtiofsd", "written in C")));
  config_.vms[0].shared_directories.clear();
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, SaysWhenUnitsAreForAnotherVersion) {
  host_.versions["/usr/bin/qemu-system-x86_64"] =
      "QEMU emulator version 10.0.2 (Debian)\n";
  EXPECT_THAT(Check(),
              ElementsAre(Is("qemu.version", "qemu.version = \"10.0\"")));
  host_.versions.erase("/usr/bin/qemu-system-x86_64");
  EXPECT_THAT(Check(), ElementsAre(Is("qemu.version", "--version fails")));
}

TEST_F(CheckHostTest, NeedsItsDevices) {
  host_.files.erase("/dev/kvm");
  host_.files.erase("/dev/vhost-vsock");
  EXPECT_THAT(Check(),
              ElementsAre(Is("qemu.accelerator", "/dev/kvm"),
                          Is("vms.work.hypervisor", "modprobe vhost_vsock")));
  config_.qemu.accelerator = config::Accelerator::kAuto;
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.hypervisor", "vhost")));
  config_.vms[0].hypervisor = config::Hypervisor::kCloudHypervisor;
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.hypervisor", "/dev/kvm")));
}

TEST_F(CheckHostTest, LooksAtImages) {
  const std::string image = "/var/lib/vmsilo/images/default";
  host_.files.erase(image + "/vmlinuz");
  host_.files[image + "/initrd"] = {Host::FileKind::kRegular, 0600};
  host_.files[image + "/root.img"] = kDirectory;
  EXPECT_THAT(Check(),
              ElementsAre(Is("vms.work.kernel", "vmlinuz' is not there"),
                          Is("vms.work.initrd", "chmod o+r"),
                          Is("vms.work.rootDisk", "neither a file nor")));
}

TEST_F(CheckHostTest, AMissingImageIsOneWarning) {
  const std::string image = "/var/lib/vmsilo/images/default";
  for (const char* file : {"", "/vmlinuz", "/initrd", "/root.img"}) {
    host_.files.erase(image + file);
  }
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.image",
                                      "there is no image 'default': '/var/lib/"
                                      "vmsilo/images/default' is not there")));
  // What does not come from it is looked at all the same.
  config_.vms[0].initrd = "/srv/initrd";
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.image", "no image"),
                                   Is("vms.work.initrd", "not there")));
}

TEST_F(CheckHostTest, SaysWhatEachSiloBoots) {
  EXPECT_THAT(DescribeBoot(config_),
              ElementsAre("silo work boots the image default (which has no "
                          "image.toml): kernel "
                          "'/var/lib/vmsilo/images/default/vmlinuz', initrd "
                          "'/var/lib/vmsilo/images/default/initrd', root disk "
                          "'/var/lib/vmsilo/images/default/root.img' (raw)"));
  config_.images = {{.name = "default",
                     .initrd = std::nullopt,
                     .root_disk = "a.qcow2",
                     .root_disk_format = config::DiskFormat::kQcow2,
                     .is_from_file = true}};
  EXPECT_THAT(DescribeBoot(config_),
              ElementsAre("silo work boots the image default (by its "
                          "image.toml): kernel "
                          "'/var/lib/vmsilo/images/default/vmlinuz', no "
                          "initrd, root disk "
                          "'/var/lib/vmsilo/images/default/a.qcow2' (qcow2)"));
  config_.vms[0].image.reset();
  config_.vms[0].kernel = "/k";
  EXPECT_THAT(DescribeBoot(config_),
              ElementsAre("silo work boots kernel '/k', no initrd, no root "
                          "disk"));
}

TEST_F(CheckHostTest, LooksAtTheDirectoriesAboveAnImage) {
  host_.files["/var/lib/vmsilo"].mode = 0700;
  EXPECT_THAT(Check(), testing::Contains(Is("vms.work.kernel",
                                            "chmod o+x '/var/lib/vmsilo'")));
}

TEST_F(CheckHostTest, AWritableDiskIsHandedOver) {
  config::Disk disk;
  disk.path = "/srv/data.img";
  config_.vms[0].disks = {disk};
  EXPECT_THAT(Check(),
              ElementsAre(Is("vms.work.disks", "data.img' is not there")));
  host_.files["/srv/data.img"] = {Host::FileKind::kRegular, 0600};
  EXPECT_THAT(Check(), IsEmpty());
  host_.files["/srv/data.img"] = {Host::FileKind::kBlockDevice, 0660};
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, AConsoleInAFileIsNotBounded) {
  config_.vms[0].console.mode = config::ConsoleMode::kFile;
  EXPECT_THAT(Check(),
              ElementsAre(Is("vms.work.console", "grows without a limit")));
  config_.vms[0].console.mode = config::ConsoleMode::kOff;
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, LooksAtSharedDirectories) {
  host_.files["/srv/music"] = kFile;
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.sharedDirectories.music",
                                      "is not a directory")));
  host_.files.erase("/srv/music");
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.sharedDirectories.music",
                                      "is not there")));
  config_.vms[0].shared_directories[0].is_home = true;
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, LooksForNetworkDevicesThatOthersMake) {
  config_.vms[0].network.interfaces = {
      {.name = "wan", .tap = {.name = "work-wan", .bridge = "br0"}}};
  const std::string kKey = "vms.work.network.interfaces.wan.tap";
  EXPECT_THAT(
      Check(),
      ElementsAre(
          Is(kKey.c_str(), "work-wan is not there, but a TAP is needed"),
          Is((kKey + ".bridge").c_str(), "ip link add br0 type bridge")));
  host_.files["/sys/class/net/work-wan"] = kDirectory;
  host_.files["/sys/class/net/br0"] = kDirectory;
  EXPECT_THAT(Check(),
              ElementsAre(Is(kKey.c_str(), "work-wan is no TAP"),
                          Is((kKey + ".bridge").c_str(), "br0 is no bridge")));
  host_.files["/sys/class/net/work-wan/tun_flags"] = kFile;
  host_.files["/sys/class/net/br0/bridge"] = kDirectory;
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, NetworkdMakesNetworkDevices) {
  config_.vms[0].network.interfaces = {
      {.name = "wan", .tap = {.name = "work-wan", .bridge = "br0"}}};
  config_.host_networking.networkd = true;
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, LooksForPciDevicesAndTheirDriver) {
  config_.vms[0].pci_devices = {{.address = "0000:03:00.0"}};
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.pciDevices",
                                      "no PCI device 0000:03:00.0")));
  host_.files["/sys/bus/pci/devices/0000:03:00.0"] = kDirectory;
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.pciDevices",
                                      "set-override 0000:03:00.0 vfio-pci")));
  host_.files["/sys/bus/pci/drivers/vfio-pci/0000:03:00.0"] = kDirectory;
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, SupportedMeansSeen) {
  EXPECT_THAT(DescribeSupport(config_, &host_),
              ElementsAre("QEMU 7.2: supported"));
  host_.versions["/usr/bin/qemu-system-x86_64"] = "QEMU emulator version 9.1.0";
  EXPECT_THAT(DescribeSupport(config_, &host_),
              ElementsAre("QEMU 9.1: untested; seen to work is 7.2"));
  host_.versions.clear();
  EXPECT_THAT(DescribeSupport(config_, &host_),
              ElementsAre("QEMU: not found; supported is 7.2"));
  config_.vms[0].hypervisor = config::Hypervisor::kCloudHypervisor;
  host_.versions["/usr/bin/cloud-hypervisor"] = "cloud-hypervisor v53.0\n";
  EXPECT_THAT(DescribeSupport(config_, &host_),
              ElementsAre("Cloud Hypervisor 53.0: supported"));
}

// It is not asked either: --version is an error to it, which it tells syslog.
TEST_F(CheckHostTest, CrosvmHasNoVersion) {
  config_.vms[0].hypervisor = config::Hypervisor::kCrosvm;
  EXPECT_THAT(
      DescribeSupport(config_, &host_),
      ElementsAre("crosvm: has no releases; supported is main of 2026-08-21"));
  EXPECT_THAT(host_.asked, IsEmpty());
}

TEST(ParseVersionTextTest, FindsTheFirstVersion) {
  EXPECT_EQ(ParseVersionText(kDebianQemu), (config::Version{7, 2}));
  EXPECT_EQ(ParseVersionText("cloud-hypervisor v28.0.0"),
            (config::Version{28, 0}));
  EXPECT_EQ(ParseVersionText("virtiofsd 1.13.0"), (config::Version{1, 13}));
  EXPECT_EQ(ParseVersionText("a. .b 1. 99999999999.1 x3.4"),
            (config::Version{3, 4}));
  EXPECT_EQ(ParseVersionText("no version"), std::nullopt);
}

TEST_F(CheckHostTest, WarnsOfDisksThatOthersCanReplace) {
  config_.vms[0].disks = {{.path = "/home/alice/disk.img"},
                          {.path = "/srv/disk.img"}};
  host_.files["/srv"] = kDirectory;
  host_.files["/srv/disk.img"] = {Host::FileKind::kRegular, 0600};
  host_.files["/home"] = kDirectory;
  host_.files["/home/alice"] = {Host::FileKind::kDirectory, 0755, 1000};
  host_.files["/home/alice/disk.img"] = {Host::FileKind::kRegular, 0600, 1000};
  EXPECT_THAT(Check(),
              ElementsAre(Is("vms.work.disks", "others than root can write")));
  host_.files["/home/alice"] = {Host::FileKind::kDirectory, 0775};
  EXPECT_THAT(Check(),
              ElementsAre(Is("vms.work.disks", "others than root can write")));
  host_.files["/home/alice"] = kDirectory;
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(CheckHostTest, WarnsOfWritableDisksOutOfReach) {
  config_.vms[0].disks = {{.path = "/srv/private/disk.img"}};
  host_.files["/srv/private"] = {Host::FileKind::kDirectory, 0700};
  host_.files["/srv/private/disk.img"] = kFile;
  EXPECT_THAT(Check(), ElementsAre(Is("vms.work.disks", "chmod o+x")));
  config_.vms[0].disks[0].path = "/var/tmp/disk.img";
  host_.files["/var/tmp/disk.img"] = kFile;
  EXPECT_THAT(Check(),
              ElementsAre(Is("vms.work.disks", "/var/tmp/ of its own")));
}

TEST_F(CheckHostTest, WarnsWhereUserNamespacesAreForbidden) {
  config_.user.name = "alice";
  host_.contents = {
      {"/proc/sys/kernel/unprivileged_userns_clone", "1\n"},
      {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n"},
      {"/proc/sys/user/max_user_namespaces", "63000\n"}};
  EXPECT_THAT(Check(), IsEmpty());
  host_.contents["/proc/sys/kernel/unprivileged_userns_clone"] = "0\n";
  host_.contents["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] =
      "1\n";
  host_.contents["/proc/sys/user/max_user_namespaces"] = "0\n";
  EXPECT_THAT(
      Check(),
      ElementsAre(Is("paths.virtiofsd", "kernel.unprivileged_userns_clone = 0"),
                  Is("paths.virtiofsd",
                     "kernel.apparmor_restrict_unprivileged_userns = 1"),
                  Is("paths.virtiofsd", "user.max_user_namespaces = 0")));
  config_.vms[0].shared_directories[0].run_as_root = true;
  EXPECT_THAT(Check(), IsEmpty());
}

}  // namespace
}  // namespace vmsilo::unitgen
