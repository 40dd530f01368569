#include "unitgen/features.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "config/layout.h"
#include "hypervisor/boot.h"

namespace vmsilo::unitgen {

using config::Hypervisor;

bool HasConsoleRelay(const config::Vm& vm) {
  return vm.console.mode == config::ConsoleMode::kRelay;
}

bool ConsoleRelayListens(const config::Vm& vm) {
  return vm.hypervisor == Hypervisor::kCrosvm;
}

bool HasGpu(const config::Vm& vm) {
  return vm.gpu.has_value() && vm.hypervisor != Hypervisor::kQemu;
}

bool HasWaylandSeccontext(const config::Vm& vm) {
  return HasGpu(vm) && vm.gpu->wayland;
}

bool HasTray(const config::Vm& vm) {
  return vm.tray.enable && !HasHybridVsock(vm);
}

bool CanUsb(const config::Vm& vm) {
  return vm.hypervisor != Hypervisor::kCloudHypervisor;
}

bool HasUsbAttach(const config::Vm& vm) {
  return !vm.usb_devices.empty() && CanUsb(vm);
}

bool HasHybridVsock(const config::Vm& vm) {
  return vm.hypervisor == Hypervisor::kCloudHypervisor;
}

bool HasOwnUser(const config::Config& config, const config::Vm& vm) {
  return vm.hypervisor != Hypervisor::kCrosvm || !config.crosvm.run_as_root;
}

std::string BalloonExclusion(const config::Config& config,
                             const config::Vm& vm) {
  if (!vm.balloon) return "configuration";
  // They may write to any of the guest's memory, so all of it is pinned.
  if (!vm.pci_devices.empty()) return "passed-through devices";
  // Nothing that is smaller than a huge page comes back.
  const std::vector<std::string>* further = nullptr;
  switch (vm.hypervisor) {
    case Hypervisor::kCrosvm:
      further = &config.crosvm.extra_run_args;
      break;
    case Hypervisor::kCloudHypervisor:
      further = &config.cloud_hypervisor.extra_args;
      break;
    case Hypervisor::kQemu:
      further = &config.qemu.extra_args;
      break;
  }
  for (const std::vector<std::string>* arguments : {&vm.extra_args, further}) {
    for (const std::string& argument : *arguments) {
      if (absl::StrContains(argument, "hugepages=on") ||
          absl::StrContains(argument, "hugetlb=on") ||
          argument == "-mem-path") {
        return "huge pages";
      }
    }
  }
  return "";
}

std::vector<std::string> BackendSockets(const config::Config& config,
                                        const config::Vm& vm) {
  std::vector<std::string> sockets;
  if (HasConsoleRelay(vm) && ConsoleRelayListens(vm)) {
    sockets.push_back(layout::ConsoleBackendSocket(vm.name));
  }
  if (HasGpu(vm)) sockets.push_back(layout::GpuSocket(vm.name));
  if (hypervisor::HasSound(config, vm)) {
    sockets.push_back(layout::SoundSocket(vm.name));
  }
  for (const config::SharedDirectory& share : vm.shared_directories) {
    sockets.push_back(layout::VirtiofsSocket(vm.name, share.tag));
  }
  return sockets;
}

}  // namespace vmsilo::unitgen
