#include "unitgen/generate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "hypervisor/boot.h"
#include "unitgen/context.h"
#include "unitgen/features.h"
#include "unitgen/helper_units.h"
#include "unitgen/host_units.h"
#include "unitgen/networkd.h"
#include "unitgen/polkit.h"
#include "unitgen/session_units.h"
#include "unitgen/sysusers.h"
#include "unitgen/tmpfiles.h"
#include "unitgen/vm_units.h"

namespace vmsilo::unitgen {
namespace {

// What a hypervisor cannot do, where that is no error.
void WarnAboutFeatures(const config::Vm& vm, Context* context) {
  const bool is_cloud_hypervisor =
      vm.hypervisor == config::Hypervisor::kCloudHypervisor;
  if (is_cloud_hypervisor && !vm.usb_devices.empty()) {
    context->Warn(VmKey(vm, "usbDevices"),
                  "Cloud Hypervisor has no USB; crosvm and qemu have");
  }
  if (is_cloud_hypervisor && vm.tray.enable) {
    context->Warn(VmKey(vm, "tray.enable"),
                  "tray icons need the kernel's vsock, which Cloud Hypervisor "
                  "does not use; crosvm and qemu do");
  }
  if (is_cloud_hypervisor && HasGpu(vm)) {
    context->Warn(VmKey(vm, "gpu"),
                  "released builds of Cloud Hypervisor cannot use the GPU back "
                  "end; crosvm can");
  }
  if (vm.sound.enabled() && !hypervisor::HasSound(context->config(), vm)) {
    const config::Version needed =
        is_cloud_hypervisor ? hypervisor::kFirstCloudHypervisorWithVhostUser
                            : hypervisor::kFirstQemuWithSound;
    context->Warn(
        VmKey(vm, "sound"),
        absl::StrCat("left out: this needs ",
                     is_cloud_hypervisor ? "Cloud Hypervisor " : "QEMU ",
                     needed.major_number, ".", needed.minor_number,
                     ", and the configuration says it is older"));
  }
}

}  // namespace

absl::StatusOr<Output> Generate(const config::Config& config,
                                const Mode& mode) {
  Context context(config, mode);
  if (!config.enable) return std::move(context).TakeOutput();
  for (const config::Vm& vm : config.vms) {
    WarnAboutFeatures(vm, &context);
    AddVmUnits(vm, &context);
    AddHelperUnits(vm, &context);
    AddSessionUnits(vm, &context);
  }
  AddHostUnits(&context);
  AddTmpfiles(&context);
  AddPolkit(&context);
  AddNetworkd(&context);
  AddSysusers(&context);
  VMSILO_RETURN_IF_ERROR(context.status());
  return std::move(context).TakeOutput();
}

}  // namespace vmsilo::unitgen
