#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "config/config.h"

// Names on the host that more than one program uses: files, units and users.
// Everything that names one of them calls a function of this header.
//
// `vm` is a silo's name, already checked: letters, digits, '_', '.' and '-',
// and it begins with a letter or digit.
namespace vmsilo::layout {

// ---- Directories and files ------------------------------------------------

inline constexpr absl::string_view kRuntimeRoot = "/run/vmsilo";
inline constexpr absl::string_view kStateRoot = "/var/lib/vmsilo";
inline constexpr absl::string_view kOverlayDir = "/var/lib/vmsilo/overlays";
inline constexpr absl::string_view kHomeTemplate =
    "/var/lib/vmsilo/home-template";
inline constexpr absl::string_view kManifest = "/var/lib/vmsilo/manifest.json";
// Host-wide; a silo's name cannot begin with a dot.
inline constexpr absl::string_view kBalloondDir = "/run/vmsilo/.balloond";
// Where people ask the memory daemon, and its lock.
inline constexpr absl::string_view kBalloondControlSocket =
    "/run/vmsilo/.balloond/control.socket";
inline constexpr absl::string_view kUsbDir = "/run/vmsilo/.usb";
inline constexpr absl::string_view kUsbControlSocket =
    "/run/vmsilo/.usb/control.socket";

inline constexpr absl::string_view kConfigFile = "/etc/vmsilo/vmsilo.toml";
// What a generator leaves when the configuration cannot be used.
inline constexpr absl::string_view kConfigurationErrorUnit =
    "vmsilo-configuration-error.service";
inline constexpr absl::string_view kVendorConfigFile =
    "/usr/lib/vmsilo/vmsilo.toml";

// /run/vmsilo/NAME: root's, mode 0755.
std::string RuntimeDir(absl::string_view vm);
// The same relative to /run, as RuntimeDirectory= wants it.
std::string RuntimeDirBelowRun(absl::string_view vm);

// The person's way in: the user's, mode 0600.
std::string CommandSocket(absl::string_view vm);

// What the memory daemon is told about the silo (balloon/vm_file.h): root's.
inline constexpr absl::string_view kBalloonFileName = "balloon.json";
std::string BalloonFile(absl::string_view vm);

// The hypervisor's own directory and what it makes there.
std::string VmDir(absl::string_view vm);
std::string QemuControlSocket(absl::string_view vm);
std::string QemuBalloonSocket(absl::string_view vm);
std::string QemuUsbSocket(absl::string_view vm);
std::string CrosvmControlSocket(absl::string_view vm);
std::string CloudHypervisorControlSocket(absl::string_view vm);
// The socket that `power-off` and `vmsilo status` use, by hypervisor.
std::string ControlSocket(absl::string_view vm, config::Hypervisor hypervisor);
// Hybrid vsock (Cloud Hypervisor, vhost-device-vsock).
std::string VsockSocket(absl::string_view vm);
// The part of it that the desktop user's programs may reach into.
std::string HypervisorConsoleDir(absl::string_view vm);
// Where QEMU and Cloud Hypervisor offer the console to the relay.
std::string HypervisorConsoleSocket(absl::string_view vm);
// Where the console goes with `console = "file"`.
std::string ConsoleFile(absl::string_view vm);
// What an image says about itself: IMAGEDIR/NAME/image.toml.
std::string ImageDescription(absl::string_view image_dir,
                             absl::string_view image);
// A root overlay that is a file of its own: kOverlayDir/NAME.raw.
std::string Overlay(absl::string_view vm, config::OverlayType type);

// Links that root makes in /run/vmsilo/NAME for programs that know the
// prototype's names; they lead to the files of VmDir().
std::string ControlSocketLink(absl::string_view vm,
                              config::Hypervisor hypervisor);

// Empty and root's: what crosvm's jails have for a root directory.
std::string EmptyDir(absl::string_view vm);

std::string ConsoleDir(absl::string_view vm);
// systemd listens here for the relay, crosvm connects: it would not start
// without a listener. (For QEMU and Cloud Hypervisor the relay connects to
// HypervisorConsoleSocket().)
std::string ConsoleBackendSocket(absl::string_view vm);
// A link to the relay's terminal.
std::string ConsolePty(absl::string_view vm);
// Where `vmsilo console` connects.
std::string ConsoleViewersSocket(absl::string_view vm);
// What a guest has written to its console, if that is kept: the desktop
// user's, with older files beside it as ConsoleLog().1 and so on.
std::string ConsoleLog(absl::string_view vm);
// Its directory below /var/log, for LogsDirectory=.
std::string ConsoleLogDirBelowLog(absl::string_view vm);
// /run/vmsilo/NAME/console, a link to ConsolePty().
std::string Console(absl::string_view vm);

std::string WaylandDir(absl::string_view vm);
std::string WaylandSocket(absl::string_view vm);
std::string GpuDir(absl::string_view vm);
std::string GpuSocket(absl::string_view vm);
std::string GpuShaderCache(absl::string_view vm);
std::string SoundDir(absl::string_view vm);
std::string SoundSocket(absl::string_view vm);
std::string VirtiofsDir(absl::string_view vm, absl::string_view tag);
std::string VirtiofsSocket(absl::string_view vm, absl::string_view tag);

// /run/user/UID and what is in it.
std::string UserRuntimeDir(const config::User& user);

// ---- Users ----------------------------------------------------------------

// The user that a silo's hypervisor runs as: "vmsilo-NAME". Names that would
// be longer than the 31 bytes that Linux's tools accept, or that hold a
// character that systemd refuses in user names, are cut and end in a hash.
std::string HypervisorUser(absl::string_view vm);
// The user that carries its commands' connections, by the same rules:
// "vmsilo_proxy-NAME". No silo's hypervisor has a name that begins like this.
std::string ProxyUser(absl::string_view vm);

// ---- Units ----------------------------------------------------------------

std::string SocketUnit(absl::string_view vm);        // vmsilo-NAME.socket
std::string ProxyTemplate(absl::string_view vm);     // vmsilo-NAME@.service
std::string PrepUnit(absl::string_view vm);          // …-prep.service
std::string VmUnit(absl::string_view vm);            // …-vm.service
std::string ConsoleRelayUnit(absl::string_view vm);  // …-console-relay…
// What activates it, under crosvm: …-console-relay.socket.
std::string ConsoleSocketUnit(absl::string_view vm);
std::string VirtiofsdUnit(absl::string_view vm,
                          absl::string_view tag);  // …-virtiofsd-TAG…
std::string SoundUnit(absl::string_view vm);       // …-sound.service
std::string TrayUnit(absl::string_view vm);        // …-tray.service
std::string WaylandSeccontextUnit(absl::string_view vm);
std::string GpuUnit(absl::string_view vm);
std::string UsbAttachUnit(absl::string_view vm);
// A unit of the user's manager.
std::string SessionBindUnit(absl::string_view vm);

// Short names of the units that a silo can have: what a configuration calls
// them in `vms.NAME.units`. Shares have further ones, "virtiofsd-TAG".
inline constexpr absl::string_view kRoles[] = {
    "socket",         "proxy",       "prep", "vm",  "console-relay",
    "console-socket", "sound",       "tray", "gpu", "wayland-seccontext",
    "usb-attach",     "session-bind"};
// The unit of that short name; empty for anything else.
std::string UnitForRole(absl::string_view vm, absl::string_view role);

inline constexpr absl::string_view kBalloondUnit = "vmsilo-balloond.service";
inline constexpr absl::string_view kUsbAttachTemplate =
    "vmsilo-usb-attach@.service";
inline constexpr absl::string_view kUsbDetachTemplate =
    "vmsilo-usb-detach@.service";
// The daemon behind `vmsilo usb`. Not "vmsilo-usb": a silo may well be called
// "usb", and its units are vmsilo-usb.socket and vmsilo-usb@.service.
inline constexpr absl::string_view kUsbSocketUnit = "vmsilo-usb-control.socket";
inline constexpr absl::string_view kUsbUnit = "vmsilo-usb-control.service";
inline constexpr absl::string_view kHostUnits[] = {
    kBalloondUnit, kUsbAttachTemplate, kUsbDetachTemplate, kUsbSocketUnit,
    kUsbUnit};

}  // namespace vmsilo::layout
