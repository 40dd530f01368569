#include "hypervisor/cloud_hypervisor/command_line.h"

#include <string>

#include "absl/strings/str_join.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor::cloud_hypervisor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

config::Vm MakeVm() {
  config::Vm vm;
  vm.name = "work";
  vm.hypervisor = config::Hypervisor::kCloudHypervisor;
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

TEST(CloudHypervisorCommandLineTest, Minimal) {
  EXPECT_EQ(
      Line(config::Config(), MakeVm()),
      "/usr/bin/cloud-hypervisor --api-socket "
      "path=/run/vmsilo/work/vm/cloud-hypervisor-control.socket "
      "--cpus boot=2 --memory size=2147483648 --kernel /boot/vmlinuz "
      "--cmdline console=ttyS0 vmsilo.vsock=hybrid --rng src=/dev/urandom "
      "--balloon size=0,deflate_on_oom=on,free_page_reporting=on "
      "--serial socket=/run/vmsilo/work/vm/console/console.socket --console "
      "off "
      "--vsock cid=4242,socket=/run/vmsilo/work/vm/vsock.socket "
      "--seccomp true");
}

TEST(CloudHypervisorCommandLineTest, BackEndsShareMemory) {
  config::Vm vm = MakeVm();
  vm.gpu.emplace();
  vm.sound.playback = true;
  vm.shared_directories = {{.tag = "music", .path = "/srv"}};
  EXPECT_THAT(
      Line(config::Config(), vm),
      AllOf(HasSubstr("size=2147483648,shared=on"),
            HasSubstr("--fs tag=music,socket=/run/vmsilo/work/virtiofs/music/"
                      "virtiofs.socket,num_queues=1,queue_size=1024"),
            HasSubstr("sound.socket,device_type=sound,"
                      "queue_sizes=[64,64,64,64]"),
            HasSubstr("gpu.socket,device_type=gpu,queue_sizes=[256,16]")));
}

TEST(CloudHypervisorCommandLineTest, OldVersionsHaveFewerOptions) {
  config::Config config;
  config.cloud_hypervisor.version = {47, 0};
  config::Vm vm = MakeVm();
  vm.sound.playback = true;
  vm.disks = {{.path = "/srv/data"}};
  EXPECT_THAT(Line(config, vm),
              AllOf(Not(HasSubstr("vhost-user")), Not(HasSubstr("image_type")),
                    HasSubstr("--disk path=/srv/data ")));
}

TEST(CloudHypervisorCommandLineTest, SaysTheFormatOfDisksSince51) {
  config::Config config;
  config.cloud_hypervisor.version = {51, 0};
  config::Vm vm = MakeVm();
  vm.disks = {{.path = "/srv/data"}};
  EXPECT_THAT(Line(config, vm),
              HasSubstr("--disk path=/srv/data,image_type=raw"));
}

TEST(CloudHypervisorCommandLineTest, DisksNetworkPassthrough) {
  config::Vm vm = MakeVm();
  vm.disks = {{.path = "/srv/a,b[1]", .read_only = true, .serial = "s"}};
  vm.network.interfaces = {
      {.name = "lan", .mac_address = "02:00:00:00:00:01", .tap = {"tap0"}}};
  vm.pci_devices = {{"0000:03:00.0"}};
  EXPECT_THAT(
      Line(config::Config(), vm),
      AllOf(HasSubstr("--disk path=\"/srv/a,b[1]\",readonly=on,"
                      "image_type=raw,serial=s"),
            HasSubstr("--net tap=tap0,mac=02:00:00:00:00:01"),
            HasSubstr("--device path=/sys/bus/pci/devices/0000:03:00.0/"),
            HasSubstr("free_page_reporting=off")));
}

TEST(CloudHypervisorCommandLineTest, ConsoleAndConfinement) {
  config::Config config;
  config.cloud_hypervisor.seccomp = config::CloudHypervisorSeccomp::kErrno;
  config.cloud_hypervisor.landlock = true;
  config::Vm vm = MakeVm();
  vm.console.mode = config::ConsoleMode::kOff;
  EXPECT_THAT(Line(config, vm),
              AllOf(HasSubstr("--serial off --console off"),
                    Not(HasSubstr("console=ttyS0")),
                    HasSubstr("--seccomp errno --landlock --landlock-rules "
                              "path=/run/vmsilo/work/vm,access=rw")));
}

}  // namespace
}  // namespace vmsilo::hypervisor::cloud_hypervisor
