#include "hypervisor/qemu/command_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "config/layout.h"
#include "hypervisor/arguments.h"
#include "hypervisor/boot.h"
#include "hypervisor/qemu/device_ids.h"

namespace vmsilo::hypervisor::qemu {
namespace {

// In QEMU's key=value lists a comma in a value is doubled.
std::string Value(absl::string_view text) {
  return absl::StrReplaceAll(text, {{",", ",,"}});
}

// `-m` and a memory backend must name the very same size.
std::string Size(Bytes size) {
  const uint64_t count = size.count();
  if (count % MiB(1).count() == 0) {
    return absl::StrCat(count / MiB(1).count(), "M");
  }
  return absl::StrCat((count + KiB(1).count() - 1) / KiB(1).count(), "k");
}

class Builder : private Arguments {
 public:
  Builder(const config::Config& config, const config::Vm& vm)
      : config_(config), vm_(vm), boot_(ResolveBoot(config, vm)) {}

  std::vector<std::string> Build() && {
    Add(config_.paths.qemu);
    Machine();
    Kernel();
    ControlSockets();
    Console();
    Disks();
    Network();
    Devices();
    if (config_.qemu.sandbox) {
      Add("-sandbox",
          "on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
          "resourcecontrol=deny");
    }
    Append(config_.qemu.extra_args);
    Append(vm_.extra_args);
    return std::move(*this).Take();
  }

 private:
  void Machine() {
    Add("-name", absl::StrCat("guest=", Value(vm_.name), ",debug-threads=on"));
    Add("-nodefaults");
    Add("-no-user-config");
    Add("-display", "none");
    std::string machine = config_.qemu.machine;
    const std::string memory = Size(vm_.memory);
    // vhost-user back ends map the guest's memory.
    const bool is_shared = HasVhostUserDevices(config_, vm_);
    if (is_shared) absl::StrAppend(&machine, ",memory-backend=mem");
    Add("-machine", std::move(machine));
    if (config_.qemu.accelerator != config::Accelerator::kTcg) {
      Add("-accel", "kvm");
    }
    if (config_.qemu.accelerator != config::Accelerator::kKvm) {
      Add("-accel", "tcg");
    }
    // "host" is an error where emulation steps in.
    const bool is_kvm = config_.qemu.accelerator == config::Accelerator::kKvm;
    Add("-cpu", config_.qemu.cpu.value_or(is_kvm ? "host" : "max"));
    Add("-smp", absl::StrCat(vm_.cpus));
    Add("-m", memory);
    if (is_shared) {
      Add("-object", absl::StrCat("memory-backend-memfd,id=mem,size=", memory,
                                  ",share=on"));
    }
  }

  void Kernel() {
    Add("-kernel", boot_.kernel);
    if (boot_.initrd.has_value()) Add("-initrd", *boot_.initrd);
    std::string params = boot_.kernel_params;
    if (vm_.console.mode != config::ConsoleMode::kOff) {
      params = params.empty() ? "console=ttyS0"
                              : absl::StrCat("console=ttyS0 ", params);
    }
    if (!params.empty()) Add("-append", std::move(params));
  }

  // A monitor serves one client at a time, so each program has its own.
  void ControlSockets() {
    for (const std::string& path : {layout::QemuControlSocket(vm_.name),
                                    layout::QemuBalloonSocket(vm_.name),
                                    layout::QemuUsbSocket(vm_.name)}) {
      Add("-qmp", absl::StrCat("unix:", Value(path), ",server=on,wait=off"));
    }
  }

  void Console() {
    switch (vm_.console.mode) {
      case config::ConsoleMode::kRelay:
        // As the server QEMU needs no option for reconnecting, whose name
        // changes between versions, and the relay may come and go.
        Add("-chardev",
            absl::StrCat("socket,id=console,path=",
                         Value(layout::HypervisorConsoleSocket(vm_.name)),
                         ",server=on,wait=off"));
        break;
      case config::ConsoleMode::kFile:
        Add("-chardev", absl::StrCat("file,id=console,path=",
                                     Value(layout::ConsoleFile(vm_.name))));
        break;
      case config::ConsoleMode::kOff:
        return;
    }
    Add("-serial", "chardev:console");
  }

  void Disks() {
    for (size_t i = 0; i < boot_.disks.size(); ++i) {
      const BootDisk& entry = boot_.disks[i];
      const config::Disk& disk = entry.disk;
      const bool is_snapshot =
          boot_.has_root_snapshot && entry.role == BootDisk::Role::kRoot;
      std::string drive =
          absl::StrCat("if=none,id=disk", i, ",file=", Value(disk.path),
                       ",format=", config::ToString(disk.format));
      if (is_snapshot) {
        // QEMU makes a qcow2 file over the disk and unlinks it at once.
        absl::StrAppend(&drive, ",snapshot=on");
      } else if (disk.read_only) {
        absl::StrAppend(&drive, ",read-only=on");
      }
      if (disk.direct) absl::StrAppend(&drive, ",cache.direct=on");
      if (entry.role == BootDisk::Role::kOverlay) {
        // What the guest deletes leaves the host's disk, and a fresh overlay
        // has nothing to lose in a power cut.
        absl::StrAppend(&drive, ",discard=unmap,cache.no-flush=on");
      }
      Add("-drive", std::move(drive));
      std::string device = absl::StrCat("virtio-blk-pci,drive=disk", i);
      if (entry.role == BootDisk::Role::kOverlay) {
        // The file is sparse. When the host's disk is full, QEMU would stop
        // the whole guest without a word; so the guest sees an error, in what
        // it loses at its end anyway.
        absl::StrAppend(&device, ",werror=report");
      }
      if (disk.serial.has_value()) {
        absl::StrAppend(&device, ",serial=", Value(*disk.serial));
      }
      Add("-device", std::move(device));
    }
  }

  void Network() {
    for (size_t i = 0; i < vm_.network.interfaces.size(); ++i) {
      const config::Interface& interface = vm_.network.interfaces[i];
      Add("-netdev",
          absl::StrCat("tap,id=net", i, ",ifname=", Value(interface.tap.name),
                       ",script=no,downscript=no"));
      Add("-device", absl::StrCat("virtio-net-pci,netdev=net", i,
                                  ",mac=", interface.mac_address));
    }
  }

  void Devices() {
    Add("-device", absl::StrCat("vhost-vsock-pci,guest-cid=", vm_.cid));
    // Without a timer for statistics, which would wake an idle guest: whoever
    // wants some makes QEMU ask.
    std::string balloon = absl::StrCat("virtio-balloon-pci,id=", kBalloonId,
                                       ",deflate-on-oom=on");
    // Passed-through devices pin the guest's memory: nothing comes back.
    if (vm_.pci_devices.empty()) {
      absl::StrAppend(&balloon, ",free-page-reporting=on");
    }
    Add("-device", std::move(balloon));
    Add("-device", "virtio-rng-pci");
    // With four ports, the default, QEMU soon puts a slow hub in between.
    Add("-device", "qemu-xhci,id=xhci,p2=15,p3=15");
    for (size_t i = 0; i < vm_.shared_directories.size(); ++i) {
      const config::SharedDirectory& share = vm_.shared_directories[i];
      Add("-chardev",
          absl::StrCat("socket,id=fs", i, ",path=",
                       Value(layout::VirtiofsSocket(vm_.name, share.tag))));
      Add("-device", absl::StrCat("vhost-user-fs-pci,chardev=fs", i,
                                  ",tag=", Value(share.tag)));
    }
    if (HasSound(config_, vm_)) {
      Add("-chardev", absl::StrCat("socket,id=sound,path=",
                                   Value(layout::SoundSocket(vm_.name))));
      Add("-device", "vhost-user-snd-pci,chardev=sound");
    }
    for (const config::PciDevice& device : vm_.pci_devices) {
      Add("-device", absl::StrCat("vfio-pci,host=", device.address));
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

}  // namespace vmsilo::hypervisor::qemu
