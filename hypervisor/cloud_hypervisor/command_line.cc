#include "hypervisor/cloud_hypervisor/command_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "config/layout.h"
#include "hypervisor/arguments.h"
#include "hypervisor/boot.h"

namespace vmsilo::hypervisor::cloud_hypervisor {
namespace {

// In key=value lists a value with a comma or brackets stands in quotes. There
// is no way to write a quote itself; the configuration refuses such paths.
std::string Value(absl::string_view text) {
  if (text.find_first_of(",[]=") == absl::string_view::npos) {
    return std::string(text);
  }
  return absl::StrCat("\"", text, "\"");
}

class Builder : private Arguments {
 public:
  Builder(const config::Config& config, const config::Vm& vm)
      : config_(config), vm_(vm), boot_(ResolveBoot(config, vm)) {}

  std::vector<std::string> Build() && {
    Add(config_.paths.cloud_hypervisor);
    Add("--api-socket",
        absl::StrCat("path=",
                     Value(layout::CloudHypervisorControlSocket(vm_.name))));
    Add("--cpus", absl::StrCat("boot=", vm_.cpus));
    std::string memory = absl::StrCat("size=", vm_.memory.count());
    if (HasVhostUserDevices(config_, vm_)) {
      absl::StrAppend(&memory, ",shared=on");
    }
    Add("--memory", std::move(memory));
    Kernel();
    Disks();
    for (const config::Interface& interface : vm_.network.interfaces) {
      Add("--net", absl::StrCat("tap=", Value(interface.tap.name),
                                ",mac=", interface.mac_address));
    }
    Add("--rng", "src=/dev/urandom");
    // Passed-through devices pin the guest's memory: nothing comes back.
    Add("--balloon",
        absl::StrCat("size=0,deflate_on_oom=on,free_page_reporting=",
                     vm_.pci_devices.empty() ? "on" : "off"));
    VhostUser();
    Console();
    Add("--vsock", absl::StrCat("cid=", vm_.cid, ",socket=",
                                Value(layout::VsockSocket(vm_.name))));
    for (const config::PciDevice& device : vm_.pci_devices) {
      Add("--device",
          absl::StrCat("path=/sys/bus/pci/devices/", device.address, "/"));
    }
    Add("--seccomp", std::string(Seccomp()));
    if (config_.cloud_hypervisor.landlock) {
      Add("--landlock");
      Add("--landlock-rules",
          absl::StrCat("path=", Value(layout::VmDir(vm_.name)), ",access=rw"));
    }
    Append(config_.cloud_hypervisor.extra_args);
    Append(vm_.extra_args);
    return std::move(*this).Take();
  }

 private:
  void Kernel() {
    Add("--kernel", boot_.kernel);
    if (boot_.initrd.has_value()) Add("--initramfs", *boot_.initrd);
    std::string params;
    if (vm_.console.mode != config::ConsoleMode::kOff)
      params = "console=ttyS0 ";
    // The monitor connects to the guest from ports of its choice; the agent
    // must not expect a privileged one (docs/command-protocol.md).
    absl::StrAppend(&params, "vmsilo.vsock=hybrid");
    if (!boot_.kernel_params.empty()) {
      absl::StrAppend(&params, " ", boot_.kernel_params);
    }
    Add("--cmdline", std::move(params));
  }

  void Disks() {
    for (const BootDisk& entry : boot_.disks) {
      const config::Disk& disk = entry.disk;
      std::string value = absl::StrCat("path=", Value(disk.path));
      if (disk.read_only) absl::StrAppend(&value, ",readonly=on");
      if (disk.direct) absl::StrAppend(&value, ",direct=on");
      if (config_.cloud_hypervisor.version >=
          config::kCloudHypervisorWithImageType) {
        absl::StrAppend(&value, ",image_type=", config::ToString(disk.format));
      }
      if (disk.serial.has_value()) {
        absl::StrAppend(&value, ",serial=", Value(*disk.serial));
      }
      Add("--disk", std::move(value));
    }
  }

  void VhostUser() {
    for (const config::SharedDirectory& share : vm_.shared_directories) {
      Add("--fs",
          absl::StrCat("tag=", Value(share.tag), ",socket=",
                       Value(layout::VirtiofsSocket(vm_.name, share.tag)),
                       ",num_queues=1,queue_size=1024"));
    }
    // Queue sizes are the front end's to say. Sound: control, event, tx, rx.
    if (HasSound(config_, vm_)) {
      Add("--generic-vhost-user",
          absl::StrCat("socket=", Value(layout::SoundSocket(vm_.name)),
                       ",device_type=sound,queue_sizes=[64,64,64,64]"));
    }
    // GPU: control, cursor.
    if (vm_.gpu.has_value()) {
      Add("--generic-vhost-user",
          absl::StrCat("socket=", Value(layout::GpuSocket(vm_.name)),
                       ",device_type=gpu,queue_sizes=[256,16]"));
    }
  }

  void Console() {
    switch (vm_.console.mode) {
      case config::ConsoleMode::kRelay:
        Add("--serial",
            absl::StrCat("socket=",
                         Value(layout::HypervisorConsoleSocket(vm_.name))));
        break;
      case config::ConsoleMode::kFile:
        Add("--serial",
            absl::StrCat("file=", Value(layout::ConsoleFile(vm_.name))));
        break;
      case config::ConsoleMode::kOff:
        Add("--serial", "off");
        break;
    }
    // Its default is the terminal.
    Add("--console", "off");
  }

  absl::string_view Seccomp() const {
    switch (config_.cloud_hypervisor.seccomp) {
      case config::CloudHypervisorSeccomp::kOn:
        return "true";
      case config::CloudHypervisorSeccomp::kOff:
        return "false";
      case config::CloudHypervisorSeccomp::kLog:
        return "log";
      case config::CloudHypervisorSeccomp::kErrno:
        return "errno";
    }
    return "true";
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

}  // namespace vmsilo::hypervisor::cloud_hypervisor
