#include "hypervisor/boot.h"

#include <optional>
#include <string>

#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor {
namespace {

using config::OverlayType;
using ::testing::IsEmpty;
using ::testing::SizeIs;

config::Vm MakeVm() {
  config::Vm vm;
  vm.name = "work";
  return vm;
}

TEST(ResolveBootTest, TakesEverythingFromTheImage) {
  const Boot boot = ResolveBoot(config::Config(), MakeVm());
  EXPECT_EQ(boot.kernel, "/var/lib/vmsilo/images/default/vmlinuz");
  EXPECT_EQ(boot.initrd, "/var/lib/vmsilo/images/default/initrd");
  EXPECT_EQ(boot.kernel_params, "root=/dev/vda ro vmsilo.overlay=/dev/vdb");
  ASSERT_THAT(boot.disks, SizeIs(2));
  EXPECT_EQ(boot.disks[0].disk.path, "/var/lib/vmsilo/images/default/root.img");
  EXPECT_TRUE(boot.disks[0].disk.read_only);
  EXPECT_EQ(boot.disks[1].role, BootDisk::Role::kOverlay);
  EXPECT_EQ(boot.disks[1].disk.path, "/var/lib/vmsilo/overlays/work.raw");
  EXPECT_FALSE(boot.disks[1].disk.read_only);
}

TEST(ResolveBootTest, WithoutAnImageThereIsOnlyWhatIsSet) {
  config::Vm vm = MakeVm();
  vm.kernel = "/boot/vmlinuz";
  vm.image.reset();
  Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_EQ(boot.kernel, "/boot/vmlinuz");
  EXPECT_EQ(boot.initrd, std::nullopt);
  EXPECT_EQ(boot.kernel_params, "");
  EXPECT_THAT(boot.disks, IsEmpty());
  vm.initrd = "/boot/initrd";
  EXPECT_EQ(ResolveBoot(config::Config(), vm).initrd, "/boot/initrd");
}

TEST(ResolveBootTest, OwnKernelWithTheImagesDiskHasNoForeignInitrd) {
  config::Vm vm = MakeVm();
  vm.kernel = "/boot/vmlinuz";
  vm.image = "debian";
  Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_EQ(boot.kernel, "/boot/vmlinuz");
  EXPECT_EQ(boot.initrd, std::nullopt);
  ASSERT_THAT(boot.disks, SizeIs(2));
  EXPECT_EQ(boot.disks[0].disk.path, "/var/lib/vmsilo/images/debian/root.img");
  vm.initrd = "/boot/initrd";
  EXPECT_EQ(ResolveBoot(config::Config(), vm).initrd, "/boot/initrd");
}

TEST(ResolveBootTest, OwnInitrdWithTheImagesKernel) {
  config::Vm vm = MakeVm();
  vm.initrd = "/boot/initrd";
  const Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_EQ(boot.kernel, "/var/lib/vmsilo/images/default/vmlinuz");
  EXPECT_EQ(boot.initrd, "/boot/initrd");
  EXPECT_THAT(boot.disks, SizeIs(2));
}

TEST(ResolveBootTest, TheImagesDescriptionCounts) {
  config::Config config;
  config.images = {{.name = "debian",
                    .kernel = "boot/vmlinuz-6.1",
                    .initrd = "/srv/initrd",
                    .root_disk = "debian.qcow2",
                    .root_disk_format = config::DiskFormat::kQcow2,
                    .kernel_params = {"quiet"}}};
  config::Vm vm = MakeVm();
  vm.image = "debian";
  vm.kernel_params = {"debug"};
  Boot boot = ResolveBoot(config, vm);
  EXPECT_EQ(boot.kernel, "/var/lib/vmsilo/images/debian/boot/vmlinuz-6.1");
  EXPECT_EQ(boot.initrd, "/srv/initrd");
  EXPECT_EQ(boot.disks[0].disk.path,
            "/var/lib/vmsilo/images/debian/debian.qcow2");
  EXPECT_EQ(boot.disks[0].disk.format, config::DiskFormat::kQcow2);
  EXPECT_TRUE(boot.disks[0].disk.read_only);
  EXPECT_EQ(boot.kernel_params,
            "root=/dev/vda ro vmsilo.overlay=/dev/vdb quiet debug");
  // Another image's description does not.
  vm.image = "other";
  boot = ResolveBoot(config, vm);
  EXPECT_EQ(boot.kernel, "/var/lib/vmsilo/images/other/vmlinuz");
  // Nor that of an image of which nothing is used.
  vm.image = "debian";
  vm.kernel = "/boot/vmlinuz";
  vm.root_disk = config::Disk{.path = "/srv/root.img"};
  EXPECT_EQ(ImageDirectory(config, vm), std::nullopt);
  EXPECT_EQ(ResolveBoot(config, vm).kernel_params,
            "root=/dev/vda ro vmsilo.overlay=/dev/vdb debug");
}

TEST(ResolveBootTest, AnImageCanBeAnInitrdOrADiskAlone) {
  config::Config config;
  config.images = {{.name = "default", .root_disk = std::nullopt}};
  Boot boot = ResolveBoot(config, MakeVm());
  EXPECT_EQ(boot.initrd, "/var/lib/vmsilo/images/default/initrd");
  EXPECT_THAT(boot.disks, IsEmpty());
  EXPECT_EQ(boot.kernel_params, "");
  config.images = {{.name = "default", .initrd = std::nullopt}};
  boot = ResolveBoot(config, MakeVm());
  EXPECT_EQ(boot.initrd, std::nullopt);
  EXPECT_THAT(boot.disks, SizeIs(2));
}

TEST(ResolveBootTest, TheImagesOwnRootWins) {
  config::Config config;
  config.images = {{.name = "default", .kernel_params = {"root=LABEL=x rw"}}};
  EXPECT_EQ(ResolveBoot(config, MakeVm()).kernel_params,
            "vmsilo.overlay=/dev/vdb root=LABEL=x rw");
}

TEST(ResolveBootTest, OwnRootDiskWithTheImagesKernel) {
  config::Vm vm = MakeVm();
  vm.image = "debian";
  vm.root_disk = config::Disk{.path = "/srv/root.img", .read_only = true};
  const Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_EQ(boot.kernel, "/var/lib/vmsilo/images/debian/vmlinuz");
  EXPECT_EQ(boot.disks[0].disk.path, "/srv/root.img");
}

TEST(ResolveBootTest, RootDiskIsNeverWritten) {
  config::Vm vm = MakeVm();
  vm.root_disk = config::Disk{.path = "/srv/root.img"};
  for (const OverlayType type :
       {OverlayType::kRaw, OverlayType::kTmpfs, OverlayType::kQcow2}) {
    vm.root_overlay.type = type;
    const Boot boot = ResolveBoot(config::Config(), vm);
    EXPECT_EQ(boot.disks[0].disk.path, "/srv/root.img");
    EXPECT_TRUE(boot.disks[0].disk.read_only);
  }
}

TEST(ResolveBootTest, TmpfsOverlayIsTheGuestsOwn) {
  config::Vm vm = MakeVm();
  vm.root_overlay = {.type = OverlayType::kTmpfs, .size = MiB(1536)};
  const Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_EQ(boot.kernel_params, "root=/dev/vda ro vmsilo.overlay=tmpfs:1536M");
  EXPECT_THAT(boot.disks, SizeIs(1));
}

TEST(ResolveBootTest, Qcow2OverlayLooksLikeAWritableDisk) {
  config::Vm vm = MakeVm();
  vm.root_overlay.type = OverlayType::kQcow2;
  const Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_TRUE(boot.has_root_snapshot);
  EXPECT_EQ(boot.kernel_params, "root=/dev/vda rw");
  EXPECT_THAT(boot.disks, SizeIs(1));
}

TEST(ResolveBootTest, OwnParametersComeLastAndOwnRootWins) {
  config::Vm vm = MakeVm();
  vm.kernel_params = {"quiet", "panic=-1 root=/dev/vdc"};
  const Boot boot = ResolveBoot(config::Config(), vm);
  EXPECT_EQ(boot.kernel_params,
            "vmsilo.overlay=/dev/vdb quiet panic=-1 root=/dev/vdc");
}

TEST(ResolveBootTest, DisksFollowTheRootDisk) {
  config::Vm vm = MakeVm();
  vm.disks = {{.path = "/srv/a"}, {.path = "/srv/b", .read_only = true}};
  const Boot boot = ResolveBoot(config::Config(), vm);
  ASSERT_THAT(boot.disks, SizeIs(4));
  EXPECT_EQ(boot.disks[2].disk.path, "/srv/a");
  EXPECT_EQ(boot.disks[3].disk.path, "/srv/b");
}

TEST(HasSoundTest, DependsOnTheVersion) {
  config::Config config;
  config::Vm vm = MakeVm();
  EXPECT_TRUE(HasSound(config, vm));
  vm.hypervisor = config::Hypervisor::kQemu;
  config.qemu.version = {8, 2};
  EXPECT_FALSE(HasSound(config, vm));
  config.qemu.version = kFirstQemuWithSound;
  EXPECT_TRUE(HasSound(config, vm));
  vm.hypervisor = config::Hypervisor::kCloudHypervisor;
  config.cloud_hypervisor.version = {51, 1};
  EXPECT_FALSE(HasSound(config, vm));
  vm.hypervisor = config::Hypervisor::kCrosvm;
  vm.sound = {.playback = false, .capture = false};
  EXPECT_FALSE(HasSound(config, vm));
}

}  // namespace
}  // namespace vmsilo::hypervisor
