#include "hypervisor/crosvm/command_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "config/layout.h"
#include "hypervisor/arguments.h"
#include "hypervisor/boot.h"

namespace vmsilo::hypervisor::crosvm {
namespace {

// A string in crosvm's key=value lists. Always quoted: a bare `123` or `true`
// is taken for a number or a boolean. Only these two characters have escapes.
std::string Value(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

class Builder : private Arguments {
 public:
  Builder(const config::Config& config, const config::Vm& vm)
      : config_(config), vm_(vm), boot_(ResolveBoot(config, vm)) {}

  std::vector<std::string> Build() && {
    Add(config_.paths.crosvm);
    Add("--no-syslog");
    Add("--log-level", config_.crosvm.log_level);
    // Tells a reset from a stop and a crash by exit status.
    Add("--extended-status");
    Append(config_.crosvm.extra_args);
    Add("run");
    Add("--name", vm_.name);
    Add("--cpus", absl::StrCat("num-cores=", vm_.cpus));
    const uint64_t mib = MiB(1).count();
    Add("--mem", absl::StrCat("size=", (vm_.memory.count() + mib - 1) / mib));
    Add("--socket", layout::CrosvmControlSocket(vm_.name));
    Sandbox();
    Console();
    Disks();
    for (const config::Interface& interface : vm_.network.interfaces) {
      Add("--net", absl::StrCat("tap-name=", Value(interface.tap.name),
                                ",mac=", Value(interface.mac_address)));
    }
    Add("--vsock", absl::StrCat("cid=", vm_.cid));
    // Passed-through devices pin the guest's memory: nothing comes back.
    if (vm_.pci_devices.empty()) Add("--balloon-page-reporting");
    VhostUser();
    for (const config::PciDevice& device : vm_.pci_devices) {
      Add("--vfio",
          absl::StrCat("path=", Value(absl::StrCat("/sys/bus/pci/devices/",
                                                   device.address))));
    }
    if (boot_.initrd.has_value()) Add("--initrd", *boot_.initrd);
    if (!boot_.kernel_params.empty()) Add("--params", boot_.kernel_params);
    Append(config_.crosvm.extra_run_args);
    Append(vm_.extra_args);
    Add(boot_.kernel);
    return std::move(*this).Take();
  }

 private:
  void Sandbox() {
    if (config_.crosvm.sandbox) {
      // Its default, /var/empty, is not there on every distribution.
      Add("--pivot-root", layout::EmptyDir(vm_.name));
    } else {
      Add("--disable-sandbox");
    }
  }

  void Console() {
    std::string serial;
    switch (vm_.console.mode) {
      case config::ConsoleMode::kRelay:
        serial = absl::StrCat("type=unix-stream,path=",
                              Value(layout::ConsoleBackendSocket(vm_.name)),
                              ",input-unix-stream=true");
        break;
      case config::ConsoleMode::kFile:
        serial = absl::StrCat("type=file,path=",
                              Value(layout::ConsoleFile(vm_.name)));
        break;
      case config::ConsoleMode::kOff:
        // Not configured, the first port would be crosvm's own terminal.
        Add("--serial", "type=sink,hardware=serial,num=1");
        return;
    }
    // A UART would stall a virtual CPU whenever the reader is slow.
    absl::StrAppend(&serial, ",hardware=virtio-console,num=1,console=true");
    Add("--serial", std::move(serial));
  }

  void Disks() {
    for (const BootDisk& entry : boot_.disks) {
      const config::Disk& disk = entry.disk;
      std::string block = absl::StrCat("path=", Value(disk.path));
      if (disk.read_only) {
        // Several silos may read one image, which crosvm's lock prevents.
        absl::StrAppend(&block, ",ro=true,lock=false");
      }
      if (disk.direct) absl::StrAppend(&block, ",direct=true");
      if (disk.serial.has_value()) {
        absl::StrAppend(&block, ",id=", Value(*disk.serial));
      }
      Add("--block", std::move(block));
    }
  }

  void VhostUser() {
    for (const config::SharedDirectory& share : vm_.shared_directories) {
      Add("--vhost-user",
          absl::StrCat("type=fs,socket=",
                       Value(layout::VirtiofsSocket(vm_.name, share.tag))));
    }
    if (vm_.gpu.has_value()) {
      Add("--vhost-user",
          absl::StrCat("type=gpu,socket=", Value(layout::GpuSocket(vm_.name))));
    }
    if (HasSound(config_, vm_)) {
      Add("--vhost-user", absl::StrCat("type=sound,socket=",
                                       Value(layout::SoundSocket(vm_.name))));
    }
  }

  const config::Config& config_;
  const config::Vm& vm_;
  const Boot boot_;
};

}  // namespace

std::vector<std::string> CommandLine(const config::Config& config,
                                     const config::Vm& vm) {
  return Builder(config, vm).Build();
}

std::vector<std::string> GpuCommandLine(const config::Config& config,
                                        const config::Vm& vm) {
  std::vector<absl::string_view> types;
  if (vm.gpu->wayland) types.push_back("cross-domain");
  if (vm.gpu->opengl) types.push_back("virgl2");
  std::vector<std::string> argv = {
      config.paths.crosvm,
      "--no-syslog",
      absl::StrCat("--log-level=", vm.gpu->log_level),
      "device",
      "gpu",
      "--socket-path",
      layout::GpuSocket(vm.name),
  };
  if (vm.gpu->wayland) {
    argv.push_back("--wayland-sock");
    argv.push_back(layout::WaylandSocket(vm.name));
  }
  argv.push_back("--params");
  argv.push_back(
      absl::StrCat("{\"context-types\":\"", absl::StrJoin(types, ":"), "\"}"));
  return argv;
}

}  // namespace vmsilo::hypervisor::crosvm
