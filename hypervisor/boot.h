#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/config.h"

// What a silo boots, the same for the three hypervisors' command lines.
namespace vmsilo::hypervisor {

// A disk as the guest sees it. In this order they become /dev/vda, /dev/vdb…
struct BootDisk {
  enum class Role { kRoot, kOverlay, kData };

  Role role = Role::kData;
  config::Disk disk;
};

struct Boot {
  std::string kernel;
  std::optional<std::string> initrd;
  // The kernel's command line without what names the console, which depends
  // on the hypervisor.
  std::string kernel_params;
  std::vector<BootDisk> disks;
  // The root disk takes writes that are forgotten when the VM ends, in a file
  // that the hypervisor makes itself (`rootOverlay.type = "qcow2"`).
  bool has_root_snapshot = false;
};

// The directory of the silo's image, if anything comes from it.
std::optional<std::string> ImageDirectory(const config::Config& config,
                                          const config::Vm& vm);

// What `vm` leaves out comes from its image, piece by piece; only an initrd
// never comes without the kernel that its modules are for.
//
// Parameters that the guest's initrd understands: `root=` and `ro` or `rw` as
// for any Linux; `vmsilo.overlay=/dev/vdX` (an empty disk that takes the
// writes) or `vmsilo.overlay=tmpfs:SIZE`.
Boot ResolveBoot(const config::Config& config, const config::Vm& vm);

// Whether QEMU and Cloud Hypervisor must share the guest's memory with other
// processes, and whether those processes exist at all.
bool HasSound(const config::Config& config, const config::Vm& vm);
bool HasVhostUserDevices(const config::Config& config, const config::Vm& vm);

// The first version of QEMU with vhost-user-snd-pci.
inline constexpr config::Version kFirstQemuWithSound = {9, 0};
// The first version of Cloud Hypervisor with --generic-vhost-user.
inline constexpr config::Version kFirstCloudHypervisorWithVhostUser = {52, 0};

}  // namespace vmsilo::hypervisor
