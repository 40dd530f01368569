#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"

// The configuration as the rest of vmsilo sees it: complete, checked and
// resolved. One struct per table of the file; a member's initialiser is the
// option's default, from which the documentation is generated, too.
//
// Load() (config/load.h) makes it. Where a member says "resolved", the file
// may leave it out and Load() fills it in; it is then never empty.
namespace vmsilo::config {

enum class Hypervisor { kCrosvm, kCloudHypervisor, kQemu };
enum class CidAssignment { kHash, kSequential };
// Where a silo's serial console goes.
enum class ConsoleMode {
  // vmsilo-console-relay, which offers a terminal.
  kRelay,
  // A plain file that the hypervisor writes (layout::ConsoleFile).
  kFile,
  kOff,
};
enum class OverlayType {
  // A disk that is made anew at each start and belongs to the host.
  kRaw,
  // The guest's memory.
  kTmpfs,
  // A qcow2 file over the root disk, made anew at each start.
  kQcow2,
};
enum class DiskFormat { kRaw, kQcow2 };
enum class SeccompPolicy { kEnforcing, kLog, kOff };
enum class InodeFileHandles { kNever, kPrefer, kMandatory };
enum class CachePolicy { kAuto, kAlways, kNever, kMetadata };
enum class Accelerator {
  // KVM, or the hypervisor does not start.
  kKvm,
  // KVM where it is there, else emulation.
  kAuto,
  // Emulation.
  kTcg,
};
enum class CloudHypervisorSeccomp { kOn, kOff, kLog, kErrno };

// The words of the configuration file for these.
absl::string_view ToString(Hypervisor value);
absl::string_view ToString(CidAssignment value);
absl::string_view ToString(ConsoleMode value);
absl::string_view ToString(OverlayType value);
absl::string_view ToString(DiskFormat value);
absl::string_view ToString(SeccompPolicy value);
absl::string_view ToString(InodeFileHandles value);
absl::string_view ToString(CachePolicy value);
absl::string_view ToString(Accelerator value);
absl::string_view ToString(CloudHypervisorSeccomp value);

// `rootDisk` and entries of `disks`.
struct Disk {
  std::string path;
  DiskFormat format = DiskFormat::kRaw;
  bool read_only = false;
  // What the guest sees as the disk's serial number, if anything.
  std::optional<std::string> serial;
  // Bypass the host's page cache.
  bool direct = false;

  friend bool operator==(const Disk&, const Disk&) = default;
};

// `rootOverlay`: what takes the writes to a read-only root disk.
struct RootOverlay {
  OverlayType type = OverlayType::kRaw;
  Bytes size = GiB(10);

  friend bool operator==(const RootOverlay&, const RootOverlay&) = default;
};

// `network.interfaces.NAME.tap`.
struct Tap {
  // Resolved: at most 15 bytes.
  std::string name;
  // An address of the host on this interface, with prefix length
  // ("10.0.0.1/24"). Excludes `bridge`.
  std::optional<std::string> host_address;
  std::optional<std::string> bridge;

  friend bool operator==(const Tap&, const Tap&) = default;
};

// `network.interfaces.NAME`.
struct Interface {
  std::string name;
  // Resolved: six lower-case hexadecimal bytes with colons.
  std::string mac_address;
  Tap tap;

  friend bool operator==(const Interface&, const Interface&) = default;
};

// `network`.
struct Network {
  // By name, in byte order.
  std::vector<Interface> interfaces;
  // Another silo, or "host".
  std::optional<std::string> netvm;
  bool is_netvm = false;

  friend bool operator==(const Network&, const Network&) = default;
};

// `vms.NAME.gpu`. `gpu = true` is this with its defaults.
struct Gpu {
  bool wayland = true;
  bool opengl = true;
  // Resolved: the silo's, else the host-wide gpu.allowWX.
  bool allow_wx = false;
  // Resolved: the silo's, else crosvm.logLevel.
  std::string log_level = "info";
  SeccompPolicy seccomp_policy = SeccompPolicy::kEnforcing;

  friend bool operator==(const Gpu&, const Gpu&) = default;
};

// `vms.NAME.sound`.
struct Sound {
  bool playback = true;
  bool capture = false;

  bool enabled() const { return playback || capture; }
  friend bool operator==(const Sound&, const Sound&) = default;
};

// `vms.NAME.sharedDirectories.TAG`: virtiofsd's options.
struct SharedDirectory {
  std::string tag;
  std::string path;
  uint32_t thread_pool_size = 0;
  InodeFileHandles inode_file_handles = InodeFileHandles::kPrefer;
  CachePolicy cache = CachePolicy::kAuto;
  std::string log_level = "info";
  bool xattr = false;
  bool posix_acl = false;
  bool read_only = false;
  bool allow_mmap = false;
  bool enable_readdirplus = true;
  bool writeback = false;
  bool allow_direct_io = false;
  bool killpriv_v2 = false;
  bool preserve_noatime = false;
  std::optional<std::string> uid_map;
  std::optional<std::string> gid_map;
  // Empty: whatever the guest does there is the desktop user's doing, unless
  // `run_as_root` is set.
  std::vector<std::string> translate_uid;
  std::vector<std::string> translate_gid;
  // virtiofsd runs as root rather than as the desktop user.
  bool run_as_root = false;
  // This is the share `home` that comes from `sharedHome`: its directory is
  // made from the template when it is absent.
  bool is_home = false;

  friend bool operator==(const SharedDirectory&,
                         const SharedDirectory&) = default;
};

// An entry of `usbDevices`.
struct UsbDevice {
  // Four lower-case hexadecimal digits each.
  std::string vendor_id;
  std::string product_id;
  std::optional<std::string> serial;

  friend auto operator<=>(const UsbDevice&, const UsbDevice&) = default;
};

// An entry of `pciDevices`.
struct PciDevice {
  // With domain, lower case: "0000:03:00.0".
  std::string address;

  friend bool operator==(const PciDevice&, const PciDevice&) = default;
};

// `vms.NAME.tray`.
struct VmTray {
  bool enable = false;

  friend bool operator==(const VmTray&, const VmTray&) = default;
};

// One line of `units.NAME.SECTION`: an array gives one line a value.
struct UnitSetting {
  std::string key;
  std::vector<std::string> values;
  // The key's path in the file, for messages.
  std::string path;

  friend bool operator==(const UnitSetting&, const UnitSetting&) = default;
};

// Raw settings for one unit, by section, in byte order of section and key.
using UnitSettings = std::map<std::string, std::vector<UnitSetting>>;

// `vms.NAME.console.log`. `log = true` is this with its defaults.
struct ConsoleLog {
  Bytes max_size = MiB(10);
  uint32_t max_backups = 4;
  bool timestamps = false;

  friend bool operator==(const ConsoleLog&, const ConsoleLog&) = default;
};

// What vmsilo-console-relay takes for these.
inline constexpr Bytes kMinConsoleScrollback = KiB(4);
inline constexpr Bytes kMaxConsoleScrollback = MiB(256);
inline constexpr Bytes kMinConsoleLogSize = KiB(4);
inline constexpr uint32_t kMaxConsoleLogBackups = 100;
// More is a misprint. The relay has no limit of its own.
inline constexpr Bytes kMaxConsoleLogSize = GiB(1024);

// `vms.NAME.console`.
struct Console {
  ConsoleMode mode = ConsoleMode::kRelay;
  // The rest is the relay's.
  Bytes scrollback = MiB(1);
  // Absent for `log = false`.
  std::optional<ConsoleLog> log;

  friend bool operator==(const Console&, const Console&) = default;
};

// One silo: `vms.NAME`.
struct Vm {
  std::string name;
  std::optional<std::string> description;
  Hypervisor hypervisor = Hypervisor::kCrosvm;
  bool auto_start = false;
  std::vector<std::string> depends_on;
  // Resolved: "#rrggbb", lower case.
  std::string color = "#ff0000";
  // Resolved: unique, at least 3.
  uint32_t cid = 0;

  Bytes memory = GiB(2);
  // What the balloon never takes.
  std::optional<Bytes> memory_guaranteed;
  // Whether the balloon is moved at all.
  bool balloon = true;
  uint32_t cpus = 2;

  // The image that kernel and root disk come from where they are absent here,
  // and, with its kernel, the initrd. Resolved: absent for a silo with a
  // kernel of its own, unless the file names an image all the same.
  std::optional<std::string> image = "default";
  std::optional<std::string> kernel;
  std::optional<std::string> initrd;
  std::vector<std::string> kernel_params;
  std::optional<Disk> root_disk;
  RootOverlay root_overlay;
  std::vector<Disk> disks;

  Network network;
  // Absent for `gpu = false`.
  std::optional<Gpu> gpu = Gpu();
  Sound sound;
  // Resolved: the home directory's path on the host; absent for `false`. The
  // share itself is in `shared_directories`, with the tag "home". (Empty until
  // resolved: host.sharedHomeDir/NAME.)
  std::optional<std::string> shared_home = "";
  // By tag, in byte order.
  std::vector<SharedDirectory> shared_directories;
  std::vector<UsbDevice> usb_devices;
  std::vector<PciDevice> pci_devices;
  VmTray tray;
  Console console;
  // For the hypervisor, after all others.
  std::vector<std::string> extra_args;
  // `units`, by the unit's short name ("vm", "gpu"); Config::units has them
  // under their whole names, too.
  std::map<std::string, UnitSettings> units;

  // Whether anything comes from the image.
  bool uses_image() const {
    return image.has_value() && !(kernel.has_value() && root_disk.has_value());
  }

  friend bool operator==(const Vm&, const Vm&) = default;
};

// What an image's directory holds: `images.NAME`, or the directory's own
// image.toml. The defaults are what a directory without one holds.
struct Image {
  // That of the directory below `imageDir`.
  std::string name;
  std::optional<std::string> description;
  // What it can boot under; empty for all.
  std::vector<Hypervisor> hypervisors;
  // Files, relative to the directory or absolute.
  std::string kernel = "vmlinuz";
  // Absent for `false`.
  std::optional<std::string> initrd = "initrd";
  std::optional<std::string> root_disk = "root.img";
  DiskFormat root_disk_format = DiskFormat::kRaw;
  std::vector<std::string> kernel_params;
  // It was an image.toml that said so, not the configuration.
  bool is_from_file = false;

  friend bool operator==(const Image&, const Image&) = default;
};

// The desktop user, resolved from `user`, `host.*` and the user database.
struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string group;
  std::string home;

  friend bool operator==(const User&, const User&) = default;
};

// `host`.
struct Host {
  // What takes the place of the user database's entry for `user`.
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<std::string> group;
  std::optional<std::string> home;
  // The compositor's socket in the user's runtime directory.
  std::string wayland_display = "wayland-0";
  // The parent of the silos' home directories.
  std::string shared_home_dir = "/shared";

  friend bool operator==(const Host&, const Host&) = default;
};

// `crosvm`.
struct Crosvm {
  std::string log_level = "info";
  // Each device in a process of its own, jailed by crosvm itself.
  bool sandbox = true;
  // crosvm's jail needs root where unprivileged user namespaces are off.
  bool run_as_root = false;
  // Before `run`, and after it.
  std::vector<std::string> extra_args;
  std::vector<std::string> extra_run_args;

  friend bool operator==(const Crosvm&, const Crosvm&) = default;
};

// A version of a program: MAJOR.MINOR.
struct Version {
  // Not `major`: <sys/sysmacros.h> has a macro of that name.
  uint32_t major_number = 0;
  uint32_t minor_number = 0;

  friend auto operator<=>(const Version&, const Version&) = default;
};

// Since then it can be told the format of a disk, and need not guess.
inline constexpr Version kCloudHypervisorWithImageType = {51, 0};

// `cloud-hypervisor`.
struct CloudHypervisor {
  // What the command line is written for.
  Version version = {53, 0};
  CloudHypervisorSeccomp seccomp = CloudHypervisorSeccomp::kOn;
  bool landlock = false;
  std::vector<std::string> extra_args;

  friend bool operator==(const CloudHypervisor&,
                         const CloudHypervisor&) = default;
};

// `qemu`.
struct Qemu {
  // What the command line is written for: options differ between versions.
  Version version = {7, 2};
  Accelerator accelerator = Accelerator::kKvm;
  std::string machine = "q35";
  // Absent: "host" under KVM, "max" where emulation may happen.
  std::optional<std::string> cpu;
  bool sandbox = true;
  std::vector<std::string> extra_args;

  friend bool operator==(const Qemu&, const Qemu&) = default;
};

// The host-wide `gpu`.
struct GlobalGpu {
  bool allow_wx = false;

  friend bool operator==(const GlobalGpu&, const GlobalGpu&) = default;
};

// What vmsilo-balloond takes for these. A look more often than a guest can
// answer is none; one more seldom leaves guests in need alone.
inline constexpr int64_t kLeastPollMilliseconds = 100;
inline constexpr int64_t kLeastMinPollMilliseconds = 50;
inline constexpr int64_t kMostPollMilliseconds = 60'000;
inline constexpr int kLeastCriticalHostPercent = 1;
inline constexpr int kMostCriticalHostPercent = 50;

// `balloond`, also `vmsilo-balloond`.
struct Balloond {
  bool enable = true;
  std::string log_level = "info";
  std::string policy = "committed";
  absl::Duration poll_interval = absl::Seconds(2);
  absl::Duration calm_interval = absl::Seconds(10);
  double critical_host_percent = 2;
  Bytes critical_guest_available = MiB(400);
  Bytes guest_available_bias = MiB(300);
  absl::Duration min_poll_interval = absl::Milliseconds(100);
  double psi_ceiling = 50;
  // Where metrics go, if anywhere.
  std::optional<std::string> metrics_file;
  std::vector<std::string> extra_args;

  friend bool operator==(const Balloond&, const Balloond&) = default;
};

// The host-wide `tray`, also `vmsilo-tray`.
struct Tray {
  std::string log_level = "info";
  // Absent: chosen by the desktop's colour scheme.
  std::optional<std::string> icon_theme;

  friend bool operator==(const Tray&, const Tray&) = default;
};

// `hostNetworking`.
struct HostNetworking {
  // Generate systemd-networkd's files for the bridges and TAPs.
  bool networkd = false;

  friend bool operator==(const HostNetworking&,
                         const HostNetworking&) = default;
};

// `paths`: programs, absolute.
struct Paths {
  std::string crosvm = "/usr/bin/crosvm";
  std::string cloud_hypervisor = "/usr/bin/cloud-hypervisor";
  std::string qemu = "/usr/bin/qemu-system-x86_64";
  std::string virtiofsd = "/usr/libexec/virtiofsd";
  std::string sound = "/usr/bin/vmsilo-sound";
  std::string proxy = "/usr/bin/vmsilo-proxy";
  std::string console_relay = "/usr/bin/vmsilo-console-relay";
  std::string balloond = "/usr/bin/vmsilo-balloond";
  std::string usb = "/usr/bin/vmsilo-usb";
  std::string tray_host = "/usr/bin/vmsilo-tray-host";
  std::string wayland_seccontext = "/usr/bin/vmsilo-wayland-seccontext";
  std::string prepare = "/usr/libexec/vmsilo/vmsilo-prepare";
  std::string systemctl = "/usr/bin/systemctl";
  std::string systemd_tmpfiles = "/usr/bin/systemd-tmpfiles";
  std::string rm = "/usr/bin/rm";

  friend bool operator==(const Paths&, const Paths&) = default;
};

struct Config {
  // False: nothing is generated. The rest is checked all the same.
  bool enable = true;
  // Resolved.
  User user;
  Host host;
  CidAssignment cid_assignment = CidAssignment::kHash;
  std::string image_dir = "/var/lib/vmsilo/images";
  // By name, in byte order. Resolved: also those of image.toml files. An image
  // that is not there holds what Image says by default.
  std::vector<Image> images;
  Paths paths;
  Crosvm crosvm;
  CloudHypervisor cloud_hypervisor;
  Qemu qemu;
  GlobalGpu gpu;
  Balloond balloond;
  Tray tray;
  HostNetworking host_networking;
  // By name, in byte order.
  std::vector<Vm> vms;
  // `units`, and each silo's `units`, by the unit's whole name
  // ("vmsilo-work-vm.service").
  std::map<std::string, UnitSettings> units;

  // The silo of that name, or nullptr.
  const Vm* FindVm(absl::string_view name) const;
  // What is said about the image of that name, or nullptr.
  const Image* FindImage(absl::string_view name) const;

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace vmsilo::config
