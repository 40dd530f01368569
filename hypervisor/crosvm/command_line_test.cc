#include "hypervisor/crosvm/command_line.h"

#include <string>

#include "absl/strings/str_join.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor::crosvm {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

config::Vm MakeVm() {
  config::Vm vm;
  vm.name = "work";
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

TEST(CrosvmCommandLineTest, Minimal) {
  EXPECT_EQ(Line(config::Config(), MakeVm()),
            "/usr/bin/crosvm --no-syslog --log-level info --extended-status "
            "run --name work --cpus num-cores=2 --mem size=2048 "
            "--socket /run/vmsilo/work/vm/crosvm-control.socket "
            "--pivot-root /run/vmsilo/work/empty "
            "--serial type=unix-stream,"
            "path=\"/run/vmsilo/work/console-backend.socket\","
            "input-unix-stream=true,hardware=virtio-console,num=1,console=true "
            "--vsock cid=4242 --balloon-page-reporting /boot/vmlinuz");
}

TEST(CrosvmCommandLineTest, QuotesStringsInLists) {
  config::Vm vm = MakeVm();
  vm.root_disk = config::Disk{.path = "/srv/a,\"b\\c.img", .read_only = true};
  vm.disks = {{.path = "/srv/data", .serial = "data", .direct = true}};
  vm.network.interfaces = {
      {.name = "lan", .mac_address = "02:00:00:00:00:01", .tap = {"123"}}};
  EXPECT_THAT(
      Line(config::Config(), vm),
      AllOf(HasSubstr("--block path=\"/srv/a,\\\"b\\\\c.img\",ro=true,"
                      "lock=false --block "
                      "path=\"/var/lib/vmsilo/overlays/work.raw\" --block "
                      "path=\"/srv/data\",direct=true,id=\"data\""),
            HasSubstr("--net tap-name=\"123\",mac=\"02:00:00:00:00:01\""),
            EndsWith("--params root=/dev/vda ro vmsilo.overlay=/dev/vdb "
                     "/boot/vmlinuz")));
}

TEST(CrosvmCommandLineTest, BackEnds) {
  config::Vm vm = MakeVm();
  vm.gpu.emplace();
  vm.sound.playback = true;
  vm.shared_directories = {{.tag = "music", .path = "/srv"}};
  vm.pci_devices = {{"0000:03:00.0"}};
  EXPECT_THAT(
      Line(config::Config(), vm),
      AllOf(HasSubstr("--vhost-user type=fs,socket=\"/run/vmsilo/work/virtiofs/"
                      "music/virtiofs.socket\""),
            HasSubstr("type=gpu,socket=\"/run/vmsilo/work/gpu/gpu.socket\""),
            HasSubstr(
                "type=sound,socket=\"/run/vmsilo/work/sound/sound.socket\""),
            HasSubstr("--vfio path=\"/sys/bus/pci/devices/0000:03:00.0\""),
            Not(HasSubstr("--balloon-page-reporting"))));
}

TEST(CrosvmCommandLineTest, NoConsoleIsNotTheTerminal) {
  config::Vm vm = MakeVm();
  vm.console.mode = config::ConsoleMode::kOff;
  EXPECT_THAT(Line(config::Config(), vm),
              HasSubstr("--serial type=sink,hardware=serial,num=1"));
  vm.console.mode = config::ConsoleMode::kFile;
  EXPECT_THAT(
      Line(config::Config(), vm),
      HasSubstr("type=file,path=\"/run/vmsilo/work/vm/console/console.log\","));
}

TEST(CrosvmCommandLineTest, SandboxAndOwnArguments) {
  config::Config config;
  config.crosvm.sandbox = false;
  config.crosvm.extra_args = {"--before"};
  config.crosvm.extra_run_args = {"--after"};
  config::Vm vm = MakeVm();
  vm.extra_args = {"--last"};
  EXPECT_THAT(Line(config, vm),
              AllOf(HasSubstr("--before run"), HasSubstr("--disable-sandbox"),
                    Not(HasSubstr("pivot-root")),
                    EndsWith("--after --last /boot/vmlinuz")));
}

TEST(CrosvmGpuCommandLineTest, NamesTheContexts) {
  config::Vm vm = MakeVm();
  vm.gpu.emplace();
  vm.gpu->log_level = "warn";
  EXPECT_EQ(absl::StrJoin(GpuCommandLine(config::Config(), vm), " "),
            "/usr/bin/crosvm --no-syslog --log-level=warn device gpu "
            "--socket-path /run/vmsilo/work/gpu/gpu.socket "
            "--wayland-sock /run/vmsilo/work/wayland/wayland.socket "
            "--params {\"context-types\":\"cross-domain:virgl2\"}");
  vm.gpu->wayland = false;
  EXPECT_THAT(absl::StrJoin(GpuCommandLine(config::Config(), vm), " "),
              AllOf(Not(HasSubstr("wayland")), EndsWith(":\"virgl2\"}")));
}

}  // namespace
}  // namespace vmsilo::hypervisor::crosvm
