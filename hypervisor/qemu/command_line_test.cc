#include "hypervisor/qemu/command_line.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor::qemu {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

config::Vm MakeVm() {
  config::Vm vm;
  vm.name = "work";
  vm.hypervisor = config::Hypervisor::kQemu;
  vm.cid = 4242;
  vm.kernel = "/boot/vmlinuz";
  vm.image.reset();
  vm.gpu.reset();
  vm.sound = {.playback = false, .capture = false};
  return vm;
}

std::string Line(const config::Config& config, const config::Vm& vm) {
  return absl::StrJoin(CommandLine(config, vm), " ");
}

TEST(QemuCommandLineTest, Minimal) {
  config::Vm vm = MakeVm();
  vm.memory = MiB(512);
  EXPECT_EQ(
      Line(config::Config(), vm),
      "/usr/bin/qemu-system-x86_64 -name guest=work,debug-threads=on "
      "-nodefaults -no-user-config -display none -machine q35 -accel kvm "
      "-cpu host -smp 2 -m 512M -kernel /boot/vmlinuz -append console=ttyS0 "
      "-qmp unix:/run/vmsilo/work/vm/qemu-control.socket,server=on,wait=off "
      "-qmp unix:/run/vmsilo/work/vm/qemu-balloon.socket,server=on,wait=off "
      "-qmp unix:/run/vmsilo/work/vm/qemu-usb.socket,server=on,wait=off "
      "-chardev "
      "socket,id=console,path=/run/vmsilo/work/vm/console/console.socket,"
      "server=on,wait=off -serial chardev:console "
      "-device vhost-vsock-pci,guest-cid=4242 "
      "-device virtio-balloon-pci,id=balloon0,deflate-on-oom=on,"
      "free-page-reporting=on "
      "-device virtio-rng-pci -device qemu-xhci,id=xhci,p2=15,p3=15 "
      "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
      "resourcecontrol=deny");
}

TEST(QemuCommandLineTest, AcceleratorsDecideTheProcessor) {
  config::Config config;
  config.qemu.accelerator = config::Accelerator::kAuto;
  EXPECT_THAT(Line(config, MakeVm()),
              HasSubstr("-accel kvm -accel tcg -cpu max"));
  config.qemu.accelerator = config::Accelerator::kTcg;
  EXPECT_THAT(Line(config, MakeVm()), HasSubstr("q35 -accel tcg -cpu max"));
  config.qemu.cpu = "qemu64";
  EXPECT_THAT(Line(config, MakeVm()), HasSubstr("-cpu qemu64"));
}

TEST(QemuCommandLineTest, SharesMemoryOnlyWithBackEnds) {
  config::Vm vm = MakeVm();
  vm.memory = Bytes(MiB(512).count() + 4096);
  EXPECT_THAT(Line(config::Config(), vm), Not(HasSubstr("memfd")));
  vm.shared_directories = {{.tag = "a,b", .path = "/srv"}};
  EXPECT_THAT(
      Line(config::Config(), vm),
      AllOf(HasSubstr("-machine q35,memory-backend=mem "),
            HasSubstr("-m 524292k "),
            HasSubstr("memory-backend-memfd,id=mem,size=524292k,share=on"),
            HasSubstr("path=/run/vmsilo/work/virtiofs/a,,b/virtiofs.socket"),
            HasSubstr("vhost-user-fs-pci,chardev=fs0,tag=a,,b")));
}

TEST(QemuCommandLineTest, Disks) {
  config::Vm vm = MakeVm();
  vm.root_disk = config::Disk{.path = "/srv/a,b.img", .read_only = true};
  vm.disks = {{.path = "/srv/data",
               .format = config::DiskFormat::kQcow2,
               .serial = "data",
               .direct = true}};
  const std::string line = Line(config::Config(), vm);
  EXPECT_THAT(line, HasSubstr("if=none,id=disk0,file=/srv/a,,b.img,format=raw,"
                              "read-only=on -device virtio-blk-pci,drive=disk0"
                              " "));
  EXPECT_THAT(line, HasSubstr("file=/var/lib/vmsilo/overlays/work.raw,"
                              "format=raw,discard=unmap,cache.no-flush=on "
                              "-device virtio-blk-pci,drive=disk1,"
                              "werror=report "));
  EXPECT_THAT(line, HasSubstr("file=/srv/data,format=qcow2,cache.direct=on "
                              "-device virtio-blk-pci,drive=disk2,serial=data"
                              " "));
  vm.root_overlay.type = config::OverlayType::kQcow2;
  EXPECT_THAT(Line(config::Config(), vm),
              HasSubstr("file=/srv/a,,b.img,format=raw,snapshot=on "));
}

TEST(QemuCommandLineTest, NetworkAndPassthrough) {
  config::Vm vm = MakeVm();
  vm.network.interfaces = {
      {.name = "lan", .mac_address = "02:00:00:00:00:01", .tap = {"tap0"}}};
  vm.pci_devices = {{"0000:03:00.0"}};
  EXPECT_THAT(
      Line(config::Config(), vm),
      AllOf(HasSubstr("-netdev tap,id=net0,ifname=tap0,script=no,downscript=no "
                      "-device virtio-net-pci,netdev=net0,"
                      "mac=02:00:00:00:00:01"),
            HasSubstr("-device vfio-pci,host=0000:03:00.0"),
            Not(HasSubstr("free-page-reporting"))));
}

TEST(QemuCommandLineTest, ConsoleElsewhere) {
  config::Vm vm = MakeVm();
  vm.console.mode = config::ConsoleMode::kFile;
  EXPECT_THAT(Line(config::Config(), vm),
              HasSubstr("-chardev file,id=console,path=/run/vmsilo/work/vm/"
                        "console/console.log -serial chardev:console"));
  vm.console.mode = config::ConsoleMode::kOff;
  EXPECT_THAT(Line(config::Config(), vm),
              AllOf(Not(HasSubstr("serial")), Not(HasSubstr("console"))));
}

TEST(QemuCommandLineTest, SoundWhereThereIsADevice) {
  config::Config config;
  config::Vm vm = MakeVm();
  vm.sound.playback = true;
  EXPECT_THAT(Line(config, vm), Not(HasSubstr("vhost-user-snd")));
  config.qemu.version = {10, 0};
  EXPECT_THAT(Line(config, vm),
              HasSubstr("-device vhost-user-snd-pci,chardev=sound"));
}

TEST(QemuCommandLineTest, OwnArgumentsComeLast) {
  config::Config config;
  config.qemu.extra_args = {"-global", "a b"};
  config.qemu.sandbox = false;
  config::Vm vm = MakeVm();
  vm.extra_args = {"", "-x"};
  const std::vector<std::string> argv = CommandLine(config, vm);
  EXPECT_THAT(std::vector<std::string>(argv.end() - 4, argv.end()),
              ::testing::ElementsAre("-global", "a b", "", "-x"));
  EXPECT_EQ(std::count(argv.begin(), argv.end(), "-sandbox"), 0);
}

}  // namespace
}  // namespace vmsilo::hypervisor::qemu
