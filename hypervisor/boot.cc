#include "hypervisor/boot.h"

#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/parse_size.h"
#include "config/layout.h"

namespace vmsilo::hypervisor {
namespace {

std::string DeviceName(size_t index) {
  // Far more disks than a PCI bus has slots.
  return absl::StrCat("/dev/vd",
                      std::string(1, static_cast<char>('a' + index)));
}

bool HasParameter(const std::vector<std::string>& params,
                  absl::string_view name) {
  for (const std::string& param : params) {
    // One entry may hold several parameters.
    for (absl::string_view rest = param; !rest.empty();) {
      const size_t end = rest.find(' ');
      const absl::string_view word = rest.substr(0, end);
      if (absl::StartsWith(word, name)) return true;
      if (end == absl::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return false;
}

}  // namespace

std::optional<std::string> ImageDirectory(const config::Config& config,
                                          const config::Vm& vm) {
  if (!vm.uses_image()) return std::nullopt;
  return absl::StrCat(config.image_dir, "/", *vm.image);
}

Boot ResolveBoot(const config::Config& config, const config::Vm& vm) {
  Boot boot;
  boot.kernel = vm.kernel.value_or("");
  boot.initrd = vm.initrd;
  std::optional<config::Disk> root = vm.root_disk;
  std::vector<std::string> own_params;
  if (const auto directory = ImageDirectory(config, vm);
      directory.has_value()) {
    const config::Image* found = config.FindImage(*vm.image);
    const config::Image image = found != nullptr ? *found : config::Image();
    const auto path = [&](const std::string& file) {
      return absl::StartsWith(file, "/") ? file
                                         : absl::StrCat(*directory, "/", file);
    };
    if (!vm.kernel.has_value()) {
      boot.kernel = path(image.kernel);
      if (!boot.initrd.has_value() && image.initrd.has_value()) {
        boot.initrd = path(*image.initrd);
      }
    }
    if (!root.has_value() && image.root_disk.has_value()) {
      root.emplace();
      root->path = path(*image.root_disk);
      root->format = image.root_disk_format;
    }
    own_params = image.kernel_params;
  }
  own_params.insert(own_params.end(), vm.kernel_params.begin(),
                    vm.kernel_params.end());

  std::vector<std::string> params;
  if (root.has_value()) {
    // Images are shared between silos, and with the next start of this one.
    root->read_only = true;
    const config::OverlayType overlay = vm.root_overlay.type;
    boot.has_root_snapshot = overlay == config::OverlayType::kQcow2;
    if (!HasParameter(own_params, "root=")) {
      params.push_back(absl::StrCat("root=", DeviceName(0)));
      params.push_back(boot.has_root_snapshot ? "rw" : "ro");
    }
    boot.disks.push_back({BootDisk::Role::kRoot, *std::move(root)});
    if (overlay == config::OverlayType::kRaw) {
      config::Disk disk;
      disk.path = layout::Overlay(vm.name, overlay);
      boot.disks.push_back({BootDisk::Role::kOverlay, std::move(disk)});
      params.push_back(absl::StrCat("vmsilo.overlay=", DeviceName(1)));
    } else if (overlay == config::OverlayType::kTmpfs) {
      params.push_back(absl::StrCat("vmsilo.overlay=tmpfs:",
                                    FormatSize(vm.root_overlay.size)));
    }
  }
  for (const config::Disk& disk : vm.disks) {
    boot.disks.push_back({BootDisk::Role::kData, disk});
  }
  params.insert(params.end(), std::make_move_iterator(own_params.begin()),
                std::make_move_iterator(own_params.end()));
  boot.kernel_params = absl::StrJoin(params, " ");
  return boot;
}

bool HasSound(const config::Config& config, const config::Vm& vm) {
  if (!vm.sound.enabled()) return false;
  switch (vm.hypervisor) {
    case config::Hypervisor::kCrosvm:
      return true;
    case config::Hypervisor::kCloudHypervisor:
      return config.cloud_hypervisor.version >=
             kFirstCloudHypervisorWithVhostUser;
    case config::Hypervisor::kQemu:
      return config.qemu.version >= kFirstQemuWithSound;
  }
  return false;
}

bool HasVhostUserDevices(const config::Config& config, const config::Vm& vm) {
  return HasSound(config, vm) || vm.gpu.has_value() ||
         !vm.shared_directories.empty();
}

}  // namespace vmsilo::hypervisor
