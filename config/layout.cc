#include "config/layout.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "config/stable_hash.h"

namespace vmsilo::layout {
namespace {

// useradd(8) and utmp stop at 31 and 32 bytes; systemd's own limit is 31 for
// DynamicUser=.
constexpr size_t kMaxUserName = 31;

std::string Unit(absl::string_view vm, absl::string_view role) {
  return absl::StrCat("vmsilo-", vm, "-", role, ".service");
}

std::string SystemUser(absl::string_view prefix, absl::string_view vm) {
  // systemd wants letters, digits, '_' and '-'; a dot would make the unit
  // fail at start (217/USER on some versions).
  std::string name = absl::StrCat(prefix, vm);
  bool is_plain = name.size() <= kMaxUserName;
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_' &&
        c != '-') {
      c = '_';
      is_plain = false;
    }
  }
  if (is_plain) return name;
  const std::string hash =
      absl::StrFormat("-%08x", static_cast<uint32_t>(config::StableHash(vm)));
  return absl::StrCat(name.substr(0, kMaxUserName - hash.size()), hash);
}

}  // namespace

std::string RuntimeDir(absl::string_view vm) {
  return absl::StrCat(kRuntimeRoot, "/", vm);
}
std::string RuntimeDirBelowRun(absl::string_view vm) {
  return absl::StrCat("vmsilo/", vm);
}
std::string CommandSocket(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/command.socket");
}

std::string BalloonFile(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/", kBalloonFileName);
}

std::string VmDir(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/vm");
}
std::string QemuControlSocket(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/qemu-control.socket");
}
std::string QemuBalloonSocket(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/qemu-balloon.socket");
}
std::string QemuUsbSocket(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/qemu-usb.socket");
}
std::string CrosvmControlSocket(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/crosvm-control.socket");
}
std::string CloudHypervisorControlSocket(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/cloud-hypervisor-control.socket");
}
std::string ControlSocket(absl::string_view vm, config::Hypervisor hypervisor) {
  return absl::StrCat(VmDir(vm), "/", config::ToString(hypervisor),
                      "-control.socket");
}
std::string VsockSocket(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/vsock.socket");
}
std::string HypervisorConsoleDir(absl::string_view vm) {
  return absl::StrCat(VmDir(vm), "/console");
}
std::string HypervisorConsoleSocket(absl::string_view vm) {
  return absl::StrCat(HypervisorConsoleDir(vm), "/console.socket");
}
std::string ConsoleFile(absl::string_view vm) {
  return absl::StrCat(HypervisorConsoleDir(vm), "/console.log");
}
std::string ImageDescription(absl::string_view image_dir,
                             absl::string_view image) {
  return absl::StrCat(image_dir, "/", image, "/image.toml");
}

std::string Overlay(absl::string_view vm, config::OverlayType type) {
  return absl::StrCat(kOverlayDir, "/", vm, ".", config::ToString(type));
}
std::string ControlSocketLink(absl::string_view vm,
                              config::Hypervisor hypervisor) {
  return absl::StrCat(RuntimeDir(vm), "/", config::ToString(hypervisor),
                      "-control.socket");
}

std::string EmptyDir(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/empty");
}
std::string ConsoleDir(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/console.d");
}
std::string ConsoleBackendSocket(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/console-backend.socket");
}
std::string ConsolePty(absl::string_view vm) {
  return absl::StrCat(ConsoleDir(vm), "/pty");
}
std::string ConsoleViewersSocket(absl::string_view vm) {
  return absl::StrCat(ConsoleDir(vm), "/viewers.socket");
}
std::string ConsoleLogDirBelowLog(absl::string_view vm) {
  return absl::StrCat("vmsilo/", vm, "/console");
}
std::string ConsoleLog(absl::string_view vm) {
  return absl::StrCat("/var/log/", ConsoleLogDirBelowLog(vm), "/console.log");
}
std::string Console(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/console");
}

std::string WaylandDir(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/wayland");
}
std::string WaylandSocket(absl::string_view vm) {
  return absl::StrCat(WaylandDir(vm), "/wayland.socket");
}
std::string GpuDir(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/gpu");
}
std::string GpuSocket(absl::string_view vm) {
  return absl::StrCat(GpuDir(vm), "/gpu.socket");
}
std::string GpuShaderCache(absl::string_view vm) {
  return absl::StrCat(GpuDir(vm), "/shader-cache");
}
std::string SoundDir(absl::string_view vm) {
  return absl::StrCat(RuntimeDir(vm), "/sound");
}
std::string SoundSocket(absl::string_view vm) {
  return absl::StrCat(SoundDir(vm), "/sound.socket");
}
std::string VirtiofsDir(absl::string_view vm, absl::string_view tag) {
  return absl::StrCat(RuntimeDir(vm), "/virtiofs/", tag);
}
std::string VirtiofsSocket(absl::string_view vm, absl::string_view tag) {
  return absl::StrCat(VirtiofsDir(vm, tag), "/virtiofs.socket");
}

std::string UserRuntimeDir(const config::User& user) {
  return absl::StrCat("/run/user/", user.uid);
}

std::string HypervisorUser(absl::string_view vm) {
  return SystemUser("vmsilo-", vm);
}
std::string ProxyUser(absl::string_view vm) {
  return SystemUser("vmsilo_proxy-", vm);
}

std::string SocketUnit(absl::string_view vm) {
  return absl::StrCat("vmsilo-", vm, ".socket");
}
std::string ProxyTemplate(absl::string_view vm) {
  return absl::StrCat("vmsilo-", vm, "@.service");
}
std::string PrepUnit(absl::string_view vm) { return Unit(vm, "prep"); }
std::string VmUnit(absl::string_view vm) { return Unit(vm, "vm"); }
std::string ConsoleRelayUnit(absl::string_view vm) {
  return Unit(vm, "console-relay");
}
std::string ConsoleSocketUnit(absl::string_view vm) {
  return absl::StrCat("vmsilo-", vm, "-console-relay.socket");
}
std::string VirtiofsdUnit(absl::string_view vm, absl::string_view tag) {
  return Unit(vm, absl::StrCat("virtiofsd-", tag));
}
std::string SoundUnit(absl::string_view vm) { return Unit(vm, "sound"); }
std::string TrayUnit(absl::string_view vm) { return Unit(vm, "tray"); }
std::string WaylandSeccontextUnit(absl::string_view vm) {
  return Unit(vm, "wayland-seccontext");
}
std::string GpuUnit(absl::string_view vm) { return Unit(vm, "gpu"); }
std::string UsbAttachUnit(absl::string_view vm) {
  return Unit(vm, "usb-attach");
}
std::string SessionBindUnit(absl::string_view vm) {
  return Unit(vm, "session-bind");
}

std::string UnitForRole(absl::string_view vm, absl::string_view role) {
  if (role == "socket") return SocketUnit(vm);
  if (role == "proxy") return ProxyTemplate(vm);
  if (role == "console-socket") return ConsoleSocketUnit(vm);
  if (absl::StartsWith(role, "virtiofsd-") ||
      std::find(std::begin(kRoles), std::end(kRoles), role) !=
          std::end(kRoles)) {
    return Unit(vm, role);
  }
  return "";
}

}  // namespace vmsilo::layout
