// The table of options: long, because it is one table.

#include "config/schema.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/value.h"
#include "config/codecs.h"
#include "config/colors.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/reader.h"
#include "config/text_rules.h"

namespace vmsilo::config {
namespace {

constexpr absl::string_view kLogLevels[] = {"error", "warn", "info", "debug",
                                            "trace"};
constexpr absl::string_view kVirtiofsdLogLevels[] = {"error", "warn",  "info",
                                                     "debug", "trace", "off"};
constexpr absl::string_view kInterfaceTypes[] = {"tap"};
constexpr absl::string_view kMachines[] = {"q35", "pc"};

constexpr absl::string_view kPolicies[] = {"level", "committed"};

using PollIntervalCodec =
    DurationCodec<kLeastPollMilliseconds, kMostPollMilliseconds>;
using MinPollIntervalCodec =
    DurationCodec<kLeastMinPollMilliseconds, kMostPollMilliseconds>;
using Argument = TextCodec<kArgument>;
using Arguments = ListCodec<Argument>;
using Line = TextCodec<kLine>;
using Path = TextCodec<kPath>;
using Name = TextCodec<kName>;
using LogLevel = PlainWordCodec<kLogLevels>;

struct ColorCodec : TextCodec<kColor> {
  static std::string Print(const std::string& value) {
    const absl::string_view name = ColorName(value);
    return JsonString(name.empty() ? value : name);
  }
};

// `user` is only the name; the rest is resolved.
struct UserCodec {
  using Type = User;
  static constexpr Shape kShape = TextCodec<kUserName>::kShape;
  static bool Read(Reader& reader, const Value& value, User* out) {
    return TextCodec<kUserName>::Read(reader, value, &out->name);
  }
  static std::string Print(const User&) { return ""; }
};

// A table, or true for its defaults and false for nothing.
template <typename S>
struct SwitchCodec {
  using Type = std::optional<S>;
  static constexpr Shape kShape = {.kind = Shape::Kind::kEither,
                                   .first = &BoolCodec::kShape,
                                   .second = &TableCodec<S>::kShape};
  static bool Read(Reader& reader, const Value& value, Type* out) {
    if (const bool* truth = value.AsBool()) {
      *out = *truth ? std::make_optional<S>() : std::nullopt;
      return true;
    }
    if (!value.is_table()) {
      return reader.Expected(value, "true, false or a table");
    }
    return TableCodec<S>::Read(reader, value, &out->emplace());
  }
  static std::string Print(const Type& value) {
    return value ? "true" : "false";
  }
};

struct SharedHomeCodec {
  using Type = std::optional<std::string>;
  static constexpr Shape kShape = {.kind = Shape::Kind::kEither,
                                   .first = &BoolCodec::kShape,
                                   .second = &Path::kShape};
  static bool Read(Reader& reader, const Value& value, Type* out) {
    if (const bool* truth = value.AsBool()) {
      *out = *truth ? std::make_optional<std::string>() : std::nullopt;
      return true;
    }
    std::string path;
    if (value.AsString() == nullptr || !AcceptPath(*value.AsString(), &path)) {
      return reader.Expected(value, "true, false or an absolute path");
    }
    *out = std::move(path);
    return true;
  }
  static std::string Print(const Type&) { return "true"; }
};

// Guest programs, network addresses and the like.
constexpr absl::string_view kBelongsToImage =
    "what is inside a guest belongs to its image.";
constexpr absl::string_view kGuestAddress =
    "a guest sets its addresses itself, by its image or by DHCP.";

}  // namespace

template <>
struct TableOf<Tap> {
  static constexpr Option kOptions[] = {
      Opt<&Tap::name, TextCodec<kInterfaceName>>(
          "name", "The TAP interface on the host, at most 15 bytes.",
          {.default_doc = "`SILO-INTERFACE`, shortened with a hash to 15 "
                          "bytes"}),
      Opt<&Tap::host_address, TextCodec<kHostAddress>>(
          "hostAddress",
          "The host's own address on this interface, with prefix length. "
          "Excludes `bridge`."),
      Opt<&Tap::bridge, TextCodec<kInterfaceName>>(
          "bridge",
          "The bridge that the interface is put into; the silo waits for it. "
          "Excludes `hostAddress`."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.network.interfaces.NAME.tap",
      "The host's end of a virtual network cable.", kOptions};
};

template <>
struct TableOf<Interface> {
  static constexpr Option kOptions[] = {
      Checked<CheckedWordCodec<kInterfaceTypes>>(
          "type", "The kind of interface; there is only one."),
      Opt<&Interface::mac_address, TextCodec<kMacAddress>>(
          "macAddress", "The guest's MAC address.",
          {.default_doc = "derived from the names of silo and interface"}),
      Opt<&Interface::tap, TableCodec<Tap>>("tap", "The host's end."),
      Accepted("dhcp", kGuestAddress),
      Accepted("addresses", kGuestAddress),
      Accepted("routes", kGuestAddress),
  };
  static constexpr TableSchema kTable = {"vms.NAME.network.interfaces.NAME",
                                         "A network interface of the guest.",
                                         kOptions};
};

using InterfacesCodec =
    NamedCodec<TableCodec<Interface>, &Interface::name, kName>;

template <>
struct TableOf<Network> {
  static constexpr Option kOptions[] = {
      Opt<&Network::interfaces, InterfacesCodec>(
          "interfaces", "The guest's network interfaces, by name."),
      Opt<&Network::netvm, Name>(
          "netvm",
          "The silo whose network this one uses, or `host`. That silo is "
          "started first and has `isNetvm = true`. Nothing else comes of it: "
          "`interfaces` and the guests' images make the connection."),
      Opt<&Network::is_netvm, BoolCodec>(
          "isNetvm", "Whether other silos may name this one as their `netvm`."),
      Accepted("nameservers", kGuestAddress),
      Accepted("nat", kGuestAddress),
  };
  static constexpr TableSchema kTable = {"vms.NAME.network",
                                         "The silo's network.", kOptions};
};

template <>
struct TableOf<Disk> {
  static constexpr Option kOptions[] = {
      Opt<&Disk::path, Path>("path", "An image file or a block device.",
                             {.is_required = true}),
      Opt<&Disk::format, WordCodec<DiskFormat>>(
          "format",
          "The image's format. It is never guessed: crosvm, which would, does "
          "not start with a raw disk that begins like another format."),
      Opt<&Disk::read_only, BoolCodec>(
          "readOnly",
          "Whether the guest can only read it. The root disk is read-only in "
          "any case: `rootOverlay` takes what is written.",
          {.alias = "readonly"}),
      Opt<&Disk::serial, TextCodec<kDiskSerial>>(
          "serial",
          "The serial number that the guest sees, for "
          "`/dev/disk/by-id/virtio-SERIAL`."),
      Opt<&Disk::direct, BoolCodec>("direct", "Bypass the host's page cache."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.disks[]",
      "A disk. A plain string is the path of a raw image. `rootDisk` has the "
      "same keys.",
      kOptions};
};

using DiskCodec = ShortTableCodec<Disk, &Disk::path, Path>;

template <>
struct TableOf<RootOverlay> {
  static constexpr Option kOptions[] = {
      Opt<&RootOverlay::type, WordCodec<OverlayType>>(
          "type",
          "`raw`: a second disk that is made anew at each start; the guest "
          "lays it over its root, told so by the kernel parameter "
          "`vmsilo.overlay=/dev/vdb`. `tmpfs`: the guest's memory, told by "
          "`vmsilo.overlay=tmpfs:SIZE`. `qcow2`: an overlay of QEMU's own, as "
          "large as the disk; the guest sees a disk that it can write to."),
      Opt<&RootOverlay::size, SizeCodec>(
          "size",
          "The overlay's greatest size; it takes up only what is "
          "written."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.rootOverlay",
      "What takes the writes to the root disk. It is gone when the silo stops.",
      kOptions};
};

template <>
struct TableOf<Gpu> {
  static constexpr Option kOptions[] = {
      Opt<&Gpu::wayland, BoolCodec>(
          "wayland", "Windows of the guest appear on the host's desktop."),
      Opt<&Gpu::opengl, BoolCodec>("opengl",
                                   "3D acceleration by virglrenderer."),
      Opt<&Gpu::allow_wx, BoolCodec>(
          "allowWX",
          "Allow the GPU back end memory that is writable and executable, "
          "which some drivers need.",
          {.default_doc = "`gpu.allowWX`"}),
      Opt<&Gpu::log_level, Line>("logLevel",
                                 "How much the GPU back end writes.",
                                 {.default_doc = "`crosvm.logLevel`"}),
      Opt<&Gpu::seccomp_policy, WordCodec<SeccompPolicy>>(
          "seccompPolicy",
          "What happens to system calls that the GPU back end has no need "
          "of: refused, logged, or nothing."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.gpu",
      "The silo's graphics. `true` stands for these defaults, `false` for "
      "none.",
      kOptions};
};

template <>
struct TableOf<Sound> {
  static constexpr Option kOptions[] = {
      Opt<&Sound::playback, BoolCodec>("playback", "The silo can be heard."),
      Opt<&Sound::capture, BoolCodec>("capture",
                                      "The silo can use the microphone."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.sound",
      "The silo's sound. `true` stands for these defaults, `false` for none. "
      "Under QEMU before 9.0, which has no device for it, it is `false` unless "
      "set.",
      kOptions};
};

namespace {

struct SoundCodec {
  using Type = Sound;
  static constexpr Shape kShape = SwitchCodec<Sound>::kShape;
  static bool Read(Reader& reader, const Value& value, Sound* out) {
    std::optional<Sound> sound;
    if (!SwitchCodec<Sound>::Read(reader, value, &sound)) return false;
    *out = sound.value_or(Sound{.playback = false, .capture = false});
    return true;
  }
  static std::string Print(const Sound&) { return "true"; }
};

}  // namespace

template <>
struct TableOf<SharedDirectory> {
  static constexpr Option kOptions[] = {
      Opt<&SharedDirectory::path, Path>("path", "The directory on the host.",
                                        {.is_required = true}),
      Opt<&SharedDirectory::read_only, BoolCodec>(
          "readOnly", "The guest can only read.", {.alias = "readonly"}),
      Opt<&SharedDirectory::thread_pool_size, IntegerCodec<0, 1024>>(
          "threadPoolSize",
          "virtiofsd's threads; 0 for none besides the "
          "queue's own."),
      Opt<&SharedDirectory::inode_file_handles, WordCodec<InodeFileHandles>>(
          "inodeFileHandles",
          "Whether virtiofsd keeps file handles instead of open files; it can "
          "as "
          "root only."),
      Opt<&SharedDirectory::cache, WordCodec<CachePolicy>>(
          "cache", "What the guest may cache."),
      Opt<&SharedDirectory::log_level, PlainWordCodec<kVirtiofsdLogLevels>>(
          "logLevel", "How much virtiofsd writes."),
      Opt<&SharedDirectory::xattr, BoolCodec>("xattr", "Extended attributes."),
      Opt<&SharedDirectory::posix_acl, BoolCodec>(
          "posixAcl", "POSIX access control lists; they imply `xattr`."),
      Opt<&SharedDirectory::allow_mmap, BoolCodec>(
          "allowMmap", "Shared mappings of files, whatever the cache policy."),
      Opt<&SharedDirectory::enable_readdirplus, BoolCodec>(
          "enableReaddirplus", "Read directories with attributes."),
      Opt<&SharedDirectory::writeback, BoolCodec>(
          "writeback", "The guest may delay writes."),
      Opt<&SharedDirectory::allow_direct_io, BoolCodec>("allowDirectIo",
                                                        "Honour `O_DIRECT`."),
      Opt<&SharedDirectory::killpriv_v2, BoolCodec>(
          "killprivV2", "Let the host clear set-user-id bits on writes."),
      Opt<&SharedDirectory::preserve_noatime, BoolCodec>("preserveNoatime",
                                                         "Honour `O_NOATIME`."),
      Opt<&SharedDirectory::run_as_root, BoolCodec>(
          "runAsRoot",
          "virtiofsd runs as root and keeps the guest's ids: the guest may "
          "read and write every file there, whoever owns it. Only for "
          "directories on the way to which nobody but root can write."),
      Opt<&SharedDirectory::uid_map, TextCodec<kIdMap>>(
          "uidMap",
          "virtiofsd's user namespace: `:INSIDE:HOST:COUNT:`. Not as root, it "
          "can map the desktop user's own id only."),
      Opt<&SharedDirectory::gid_map, TextCodec<kIdMap>>("gidMap",
                                                        "The same for groups."),
      Opt<&SharedDirectory::translate_uid,
          OneOrMoreCodec<TextCodec<kIdTranslation>>>(
          "translateUid",
          "User ids of the guest as the host's, such as `map:1000:1001:1`; "
          "one or a list. Without it the desktop user has in the guest the id "
          "1000, and all of the guest's ids are his on the host.",
          {.default_doc = "see the text"}),
      Opt<&SharedDirectory::translate_gid,
          OneOrMoreCodec<TextCodec<kIdTranslation>>>("translateGid",
                                                     "The same for groups."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.sharedDirectories.TAG",
      "A directory of the host that the guest can mount with "
      "`mount -t virtiofs TAG /mnt`. A plain string is its `path`. What a "
      "guest "
      "may do there is what the desktop user may do: virtiofsd runs as he, and "
      "everything that the guest makes is his. No file can be made that gives "
      "the rights of its owner to who runs it, and no device.",
      kOptions};
};

using SharedDirectoriesCodec =
    NamedCodec<ShortTableCodec<SharedDirectory, &SharedDirectory::path, Path>,
               &SharedDirectory::tag, kName>;

template <>
struct TableOf<UsbDevice> {
  static constexpr Option kOptions[] = {
      Opt<&UsbDevice::vendor_id, TextCodec<kUsbId>>(
          "vendorId", "The first number that `lsusb` shows.",
          {.is_required = true}),
      Opt<&UsbDevice::product_id, TextCodec<kUsbId>>(
          "productId", "The second number.", {.is_required = true}),
      Opt<&UsbDevice::serial, TextCodec<kUsbSerial>>(
          "serial", "Only the device with this serial number.",
          {.default_doc = "any"}),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.usbDevices[]",
      "A USB device that is handed to the silo whenever both are there. No "
      "two silos may claim the same one.",
      kOptions};
};

template <>
struct TableOf<PciDevice> {
  static constexpr Option kOptions[] = {
      Opt<&PciDevice::address, TextCodec<kPciAddress>>(
          "address", "The address that `lspci -D` shows.",
          {.alias = "path", .is_required = true}),
      Accepted("iommu", "the hypervisor chooses."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.pciDevices[]",
      "A PCI device that belongs to the silo. The host binds it to `vfio-pci` "
      "before. A plain string is its `address`.",
      kOptions};
};

using PciDeviceCodec =
    ShortTableCodec<PciDevice, &PciDevice::address, TextCodec<kPciAddress>>;

template <>
struct TableOf<VmTray> {
  static constexpr Option kOptions[] = {
      Opt<&VmTray::enable, BoolCodec>(
          "enable",
          "Tray icons and notifications of the guest appear on the host."),
  };
  static constexpr TableSchema kTable = {"vms.NAME.tray", "The silo's tray.",
                                         kOptions};
};

template <>
struct TableOf<ConsoleLog> {
  static constexpr Option kOptions[] = {
      Opt<&ConsoleLog::max_size, LimitedSizeCodec<kMinConsoleLogSize.count(),
                                                  kMaxConsoleLogSize.count()>>(
          "maxSize",
          "When the file has this size, 4K or more, it becomes a backup and "
          "another one is begun."),
      Opt<&ConsoleLog::max_backups, IntegerCodec<0, kMaxConsoleLogBackups>>(
          "maxBackups",
          "How many backups to keep: `console.log.1` is the newest. With 0, "
          "the file is emptied when it is full."),
      Opt<&ConsoleLog::timestamps, BoolCodec>(
          "timestamps", "Put the time in UTC before each line."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.console.log",
      "What the guest writes to its console, byte for byte, in "
      "`/var/log/vmsilo/NAME/console/console.log`, for the desktop user and "
      "root. `vmsilo console --log NAME` shows it, and leaves out what could "
      "harm a terminal. `true` stands for these defaults, `false` for no log. "
      "A silo's log stays when the silo is removed.",
      kOptions};
};

template <>
struct TableOf<Console> {
  static constexpr Option kOptions[] = {
      Opt<&Console::mode, WordCodec<ConsoleMode>>(
          "mode",
          "Where the console goes. `relay`: to a terminal, "
          "`/run/vmsilo/NAME/console`, and to `vmsilo console NAME`. `file`: "
          "to a file for the desktop user to read, "
          "`/run/vmsilo/NAME/vm/console/console.log`; that is for tests: it "
          "is in memory and grows without a limit until the silo stops. "
          "`off`: nowhere."),
      Opt<&Console::scrollback,
          LimitedSizeCodec<kMinConsoleScrollback.count(),
                           kMaxConsoleScrollback.count()>>(
          "scrollback",
          "How much of what the guest has written is kept in memory, for "
          "those who look at the console later: from 4K to 256M. A new size "
          "counts from the silo's next start."),
      Opt<&Console::log, SwitchCodec<ConsoleLog>>(
          "log", "Whether what the guest writes is kept in files, too."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME.console",
      "The silo's serial console. A plain string is its `mode`. `scrollback` "
      "and `log` are for the mode `relay`.",
      kOptions};
};

using ConsoleCodec =
    ShortTableCodec<Console, &Console::mode, WordCodec<ConsoleMode>>;

template <>
struct TableOf<Vm> {
  static constexpr Option kOptions[] = {
      Opt<&Vm::description, Line>("description",
                                  "What the silo is for, for people."),
      Opt<&Vm::color, ColorCodec>(
          "color",
          "The colour that marks the silo's windows: a CSS name or `#rrggbb`."),
      Opt<&Vm::hypervisor, WordCodec<Hypervisor>>(
          "hypervisor", "What runs the silo. Only crosvm can show windows."),
      Opt<&Vm::auto_start, BoolCodec>(
          "autoStart",
          "Start without being asked: at boot, or, for a silo with graphics, "
          "when the user logs in."),
      Opt<&Vm::depends_on, ListCodec<Name>>(
          "dependsOn", "Silos that are started before this one."),
      Opt<&Vm::memory, MemoryCodec>(
          "memory", "The guest's memory; a plain number is MiB."),
      Opt<&Vm::memory_guaranteed, MemoryCodec>(
          "memoryGuaranteed",
          "What the balloon leaves to the guest however short the host is."),
      Opt<&Vm::balloon, BoolCodec>(
          "balloon",
          "Whether the host may borrow memory that the guest does not need; "
          "see `balloond`. Never with `pciDevices`, which need all of it at "
          "its place, nor with huge pages, of which nothing comes back. Other "
          "silos can tell from what they get that memory moves: `false` "
          "keeps a silo out of that."),
      Opt<&Vm::cpus, IntegerCodec<1, 256>>("cpus", "Virtual processors."),
      Opt<&Vm::image, Name>(
          "image",
          "What to boot where `kernel`, `initrd` and `rootDisk` do not say: "
          "the name of an image in `imageDir`. See Images.",
          {.default_doc = "`\"default\"`; none if `kernel` is set"}),
      Opt<&Vm::kernel, Path>("kernel", "The kernel to boot.",
                             {.default_doc = "the image's"}),
      Opt<&Vm::initrd, Path>("initrd", "The initial RAM disk.",
                             {.alias = "initramfs",
                              .default_doc = "the image's, if the kernel is"}),
      Opt<&Vm::kernel_params, ListCodec<Line>>(
          "kernelParams",
          "For the kernel's command line, after vmsilo's own and the image's."),
      Opt<&Vm::root_disk, DiskCodec>(
          "rootDisk", "The disk with the root file system, or only its path.",
          {.default_doc = "the image's"}),
      Opt<&Vm::root_overlay, TableCodec<RootOverlay>>(
          "rootOverlay", "What takes the writes to the root disk."),
      Opt<&Vm::disks, ListCodec<DiskCodec>>(
          "disks", "Further disks, in the guest's order; a string is a path.",
          {.alias = "additionalDisks"}),
      Opt<&Vm::network, TableCodec<Network>>("network", "The silo's network."),
      Opt<&Vm::gpu, SwitchCodec<Gpu>>("gpu", "The silo's graphics.",
                                      {.default_doc = "`true`; `false` under "
                                                      "QEMU"}),
      Opt<&Vm::sound, SoundCodec>("sound", "The silo's sound."),
      Opt<&Vm::shared_home, SharedHomeCodec>(
          "sharedHome",
          "The guest's home directory on the host: a path, `false`, or `true` "
          "for `host.sharedHomeDir`/NAME. It is made from "
          "`/var/lib/vmsilo/home-template` at the first start, and shared "
          "with the tag `home`; see `sharedDirectories` for what the guest may "
          "do there."),
      Opt<&Vm::shared_directories, SharedDirectoriesCodec>(
          "sharedDirectories", "Directories of the host, by tag."),
      Opt<&Vm::usb_devices, ListCodec<TableCodec<UsbDevice>>>(
          "usbDevices", "USB devices that belong to the silo."),
      Opt<&Vm::pci_devices, ListCodec<PciDeviceCodec>>(
          "pciDevices", "PCI devices that belong to the silo."),
      Opt<&Vm::tray, TableCodec<VmTray>>("tray", "The silo's tray."),
      Opt<&Vm::console, ConsoleCodec>(
          "console", "The silo's serial console, or only its `mode`.",
          {.default_doc = "`\"relay\"`"}),
      Opt<&Vm::cid, IntegerCodec<3, 0xfffffffe>>(
          "cid", "The silo's vsock address.",
          {.default_doc = "see `cidAssignment`"}),
      Opt<&Vm::extra_args, Arguments>(
          "extraArgs", "Further arguments for the hypervisor; they come last."),
      Opt<&Vm::units, UnitsCodec>(
          "units",
          "Raw systemd settings for this silo's units, by short name: "
          "`units.vm.Service.MemoryMax = \"4G\"`. Short names are `vm`, "
          "`socket`, `proxy`, `prep`, `console-relay`, `console-socket`, "
          "`virtiofsd-TAG`, "
          "`sound`, `tray`, `wayland-seccontext`, `gpu`, `usb-attach` and "
          "`session-bind`."),
      Accepted("guestPrograms", kBelongsToImage),
      Accepted("guestConfig", kBelongsToImage),
      Accepted("autoShutdown", "a silo runs until it is stopped."),
      Accepted("waylandProxy", kBelongsToImage),
      Accepted("copyChannel",
               "files are exchanged through shared directories."),
      Accepted("schedulerIsolation",
               "set crosvm.extraRunArgs or a unit's Service settings."),
      Accepted("nvidiaWeakenSandbox", "set gpu.allowWX and gpu.seccompPolicy."),
      Accepted("enableBashIntegration", "completion comes with the package."),
  };
  static constexpr TableSchema kTable = {
      "vms.NAME",
      "A silo. Its name has letters, digits, `_`, `.` and `-`, and begins "
      "with a letter or digit.",
      kOptions};
};

using VmsCodec = NamedCodec<TableCodec<Vm>, &Vm::name, kName>;

namespace {

using ImageFile = TextCodec<kImageFile>;

// A file of an image, or false for none.
struct ImageFileOrNoneCodec {
  using Type = std::optional<std::string>;
  static constexpr Shape kShape = {.kind = Shape::Kind::kEither,
                                   .first = &ImageFile::kShape,
                                   .second = &BoolCodec::kShape};
  static bool Read(Reader& reader, const Value& value, Type* out) {
    const bool* truth = value.AsBool();
    if (truth == nullptr) {
      std::string file;
      if (!ImageFile::Read(reader, value, &file)) return false;
      *out = std::move(file);
      return true;
    }
    if (*truth) return reader.Expected(value, "false, or a file's name");
    out->reset();
    return true;
  }
  static std::string Print(const Type& value) {
    return value ? ImageFile::Print(*value) : "false";
  }
};

}  // namespace

template <>
struct TableOf<Image> {
  static constexpr Option kOptions[] = {
      Opt<&Image::description, Line>("description",
                                     "What is in the image, for people."),
      Opt<&Image::hypervisors, ListCodec<WordCodec<Hypervisor>>>(
          "hypervisors", "What the image boots under.", {.default_doc = "all"}),
      Opt<&Image::kernel, ImageFile>("kernel", "The kernel."),
      Opt<&Image::initrd, ImageFileOrNoneCodec>(
          "initrd", "The initial RAM disk; `false` if it needs none."),
      Opt<&Image::root_disk, ImageFileOrNoneCodec>(
          "rootDisk",
          "The disk with the root file system; `false` if all is in the "
          "initial RAM disk. The guest reads it only."),
      Opt<&Image::root_disk_format, WordCodec<DiskFormat>>(
          "rootDiskFormat",
          "The disk's format; it is never guessed, see `format` of `disks`."),
      Opt<&Image::kernel_params, ListCodec<Line>>(
          "kernelParams",
          "For the kernel's command line, between vmsilo's own and the "
          "silo's."),
  };
  static constexpr TableSchema kTable = {
      "images.NAME",
      "An image, in place of its `image.toml`, which has the same keys. "
      "Files are relative to the image's directory, or absolute.",
      kOptions};
};

using ImagesCodec = NamedCodec<TableCodec<Image>, &Image::name, kName>;

template <>
struct TableOf<Host> {
  static constexpr Option kOptions[] = {
      Opt<&Host::uid, IntegerCodec<0, 0xfffffffe>>(
          "uid", "The user's number.", {.default_doc = "from `/etc/passwd`"}),
      Opt<&Host::gid, IntegerCodec<0, 0xfffffffe>>(
          "gid", "The number of the user's group.",
          {.default_doc = "from `/etc/passwd`"}),
      Opt<&Host::group, TextCodec<kUserName>>(
          "group", "The group's name.", {.default_doc = "from `/etc/group`"}),
      Opt<&Host::home, Path>("home", "The user's home directory.",
                             {.default_doc = "from `/etc/passwd`"}),
      Opt<&Host::wayland_display, TextCodec<kFileName>>(
          "waylandDisplay",
          "The compositor's socket in the user's runtime directory."),
      Opt<&Host::shared_home_dir, Path>(
          "sharedHomeDir",
          "The parent of the home directories of silos with "
          "`sharedHome = true`."),
  };
  static constexpr TableSchema kTable = {
      "host",
      "What the user database would say about `user`, for users that only "
      "LDAP or the like knows: such users cannot be looked up when units are "
      "generated at boot.",
      kOptions};
};

template <>
struct TableOf<Paths> {
  static constexpr Option kOptions[] = {
      Opt<&Paths::crosvm, Path>("crosvm", "crosvm."),
      Opt<&Paths::cloud_hypervisor, Path>("cloudHypervisor",
                                          "Cloud Hypervisor."),
      Opt<&Paths::qemu, Path>("qemu", "QEMU for the guests' architecture."),
      Opt<&Paths::virtiofsd, Path>(
          "virtiofsd",
          "virtiofsd, the Rust one; the older C program has other "
          "options."),
      Opt<&Paths::sound, Path>("sound", "The sound device."),
      Opt<&Paths::proxy, Path>("proxy", "vmsilo-proxy."),
      Opt<&Paths::console_relay, Path>("consoleRelay", "vmsilo-console-relay."),
      Opt<&Paths::balloond, Path>("balloond", "vmsilo-balloond."),
      Opt<&Paths::usb, Path>("usb", "vmsilo-usb."),
      Opt<&Paths::tray_host, Path>("trayHost", "vmsilo-tray-host."),
      Opt<&Paths::wayland_seccontext, Path>("waylandSeccontext",
                                            "vmsilo-wayland-seccontext."),
      Opt<&Paths::prepare, Path>("prepare", "vmsilo-prepare."),
      Opt<&Paths::systemctl, Path>("systemctl", "systemctl."),
      Opt<&Paths::systemd_tmpfiles, Path>("systemdTmpfiles",
                                          "systemd-tmpfiles."),
      Opt<&Paths::rm, Path>("rm", "rm of coreutils."),
  };
  static constexpr TableSchema kTable = {"paths", "Where programs are.",
                                         kOptions};
};

template <>
struct TableOf<Crosvm> {
  static constexpr Option kOptions[] = {
      Opt<&Crosvm::log_level, Line>("logLevel",
                                    "crosvm's `--log-level`: a level, or a "
                                    "list of filters."),
      Opt<&Crosvm::sandbox, BoolCodec>(
          "sandbox", "Each device in a jailed process of its own."),
      Opt<&Crosvm::run_as_root, BoolCodec>(
          "runAsRoot",
          "Start crosvm as root, which its jails need where user namespaces "
          "are not for everybody."),
      Opt<&Crosvm::extra_args, Arguments>("extraArgs",
                                          "Arguments before `run`."),
      Opt<&Crosvm::extra_run_args, Arguments>("extraRunArgs",
                                              "Arguments after `run`."),
      Accepted("package", "paths.crosvm says where crosvm is."),
  };
  static constexpr TableSchema kTable = {"crosvm", "For all silos of crosvm.",
                                         kOptions};
};

template <>
struct TableOf<CloudHypervisor> {
  static constexpr Option kOptions[] = {
      Opt<&CloudHypervisor::version, VersionCodec>(
          "version", "What the command line is written for."),
      Opt<&CloudHypervisor::seccomp, WordCodec<CloudHypervisorSeccomp>>(
          "seccomp",
          "What happens to forbidden system calls; `errno` needs version "
          "53.0."),
      Opt<&CloudHypervisor::landlock, BoolCodec>(
          "landlock",
          "Let Cloud Hypervisor confine itself to the files of its "
          "silo; needs Linux 6.2."),
      Opt<&CloudHypervisor::extra_args, Arguments>("extraArgs",
                                                   "Further arguments."),
      Accepted("package", "paths.cloudHypervisor says where it is."),
      Accepted("logLevel", "add -v to extraArgs."),
      Accepted("seccompPolicy", "set seccomp."),
      Accepted("disableSandbox", "set seccomp and landlock."),
  };
  static constexpr TableSchema kTable = {
      "cloud-hypervisor", "For all silos of Cloud Hypervisor.", kOptions};
};

template <>
struct TableOf<Qemu> {
  static constexpr Option kOptions[] = {
      Opt<&Qemu::version, VersionCodec>(
          "version",
          "What the command line is written for: options and "
          "devices differ between versions."),
      Opt<&Qemu::accelerator, WordCodec<Accelerator>>(
          "accelerator",
          "`kvm`; `auto` for emulation where there is no KVM; `tcg` for "
          "emulation."),
      Opt<&Qemu::machine, PlainWordCodec<kMachines>>("machine",
                                                     "The kind of machine."),
      Opt<&Qemu::cpu, Argument>(
          "cpu", "The processor's model.",
          {.default_doc = "`host` under KVM, else `max`"}),
      Opt<&Qemu::sandbox, BoolCodec>("sandbox",
                                     "QEMU's own system call "
                                     "filter."),
      Opt<&Qemu::extra_args, Arguments>("extraArgs", "Further arguments."),
  };
  static constexpr TableSchema kTable = {"qemu", "For all silos of QEMU.",
                                         kOptions};
};

template <>
struct TableOf<GlobalGpu> {
  static constexpr Option kOptions[] = {
      Opt<&GlobalGpu::allow_wx, BoolCodec>(
          "allowWX", "The default for all silos' `gpu.allowWX`."),
  };
  static constexpr TableSchema kTable = {"gpu", "Graphics of all silos.",
                                         kOptions};
};

template <>
struct TableOf<Balloond> {
  static constexpr Option kOptions[] = {
      Opt<&Balloond::enable, BoolCodec>(
          "enable", "Whether memory moves between host and silos."),
      Opt<&Balloond::log_level, LogLevel>("logLevel",
                                          "How much the daemon writes."),
      Opt<&Balloond::policy, PlainWordCodec<kPolicies>>(
          "policy",
          "How memory is shared. `level`: guests and host keep the same "
          "distance to what they need. `committed`: guests may use only what "
          "the host has, and what they do not use stays the host's."),
      Opt<&Balloond::poll_interval, PollIntervalCodec>(
          "pollInterval", "How often it looks while memory moves."),
      Opt<&Balloond::calm_interval, PollIntervalCodec>(
          "calmInterval",
          "How often it looks while nothing moves and nobody is short; not "
          "more often than `pollInterval`."),
      Opt<&Balloond::critical_host_percent,
          PercentCodec<kLeastCriticalHostPercent, kMostCriticalHostPercent>>(
          "criticalHostPercent",
          "The share of the host's memory that stays free; 128 MiB at least."),
      Opt<&Balloond::critical_guest_available, SizeCodec>(
          "criticalGuestAvailable", "What every guest keeps available."),
      Opt<&Balloond::guest_available_bias, SizeCodec>(
          "guestAvailableBias",
          "How much more guests keep while the host has enough."),
      Opt<&Balloond::min_poll_interval, MinPollIntervalCodec>(
          "minPollInterval",
          "How often it looks at most; not more than `pollInterval`."),
      Opt<&Balloond::psi_ceiling, PercentCodec<0, 100>>(
          "psiCeiling",
          "The memory pressure (`some`, in percent) that counts as full "
          "distress. 0 ignores it."),
      Opt<&Balloond::metrics_file, Path>(
          "metricsFile",
          "A file that metrics are written to, for node_exporter's textfile "
          "collector: its name ends in `.prom`.",
          {.default_doc = "none"}),
      Opt<&Balloond::extra_args, Arguments>("extraArgs", "Further arguments."),
      Accepted("package", "paths.balloond says where it is."),
  };
  static constexpr TableSchema kTable = {
      "balloond", "The daemon that moves memory between host and silos.",
      kOptions};
};

template <>
struct TableOf<Tray> {
  static constexpr Option kOptions[] = {
      Opt<&Tray::log_level, LogLevel>("logLevel",
                                      "How much the tray's host side writes."),
      Opt<&Tray::icon_theme, Line>(
          "iconTheme", "The theme that icons of guests are taken from.",
          {.default_doc = "the desktop's"}),
      Accepted("package", "paths.trayHost says where it is."),
  };
  static constexpr TableSchema kTable = {"tray", "Trays of all silos.",
                                         kOptions};
};

template <>
struct TableOf<HostNetworking> {
  static constexpr Option kOptions[] = {
      Opt<&HostNetworking::networkd, BoolCodec>(
          "networkd",
          "Generate systemd-networkd's files for the bridges and TAP "
          "interfaces of all silos."),
      Accepted("nat", "set up address translation with your firewall."),
  };
  static constexpr TableSchema kTable = {
      "hostNetworking", "What the host's network gets for the silos.",
      kOptions};
};

template <>
struct TableOf<Config> {
  static constexpr Option kOptions[] = {
      Opt<&Config::enable, BoolCodec>(
          "enable", "`false`: nothing is generated, but all is checked."),
      Opt<&Config::user, UserCodec>(
          "user", "The desktop user whom the silos belong to. Required."),
      Opt<&Config::host, TableCodec<Host>>("host",
                                           "What is known of the "
                                           "user."),
      Opt<&Config::vms, VmsCodec>("vms", "The silos, by name.",
                                  {.alias = "nixosVms"}),
      Opt<&Config::cid_assignment, WordCodec<CidAssignment>>(
          "cidAssignment",
          "How silos without `cid` get one. `hash`: from the name, so that it "
          "stays when other silos come and go. `sequential`: 3, 4, 5 … in "
          "the order of the names, as the prototype did."),
      Opt<&Config::image_dir, Path>("imageDir", "Where the silos' images are."),
      Opt<&Config::images, ImagesCodec>(
          "images", "Images, in place of their `image.toml`; see Images."),
      Opt<&Config::paths, TableCodec<Paths>>("paths", "Where programs are."),
      Opt<&Config::crosvm, TableCodec<Crosvm>>("crosvm",
                                               "For all silos of crosvm."),
      Opt<&Config::cloud_hypervisor, TableCodec<CloudHypervisor>>(
          "cloud-hypervisor", "For all silos of Cloud Hypervisor.",
          {.alias = "cloudHypervisor"}),
      Opt<&Config::qemu, TableCodec<Qemu>>("qemu", "For all silos of QEMU."),
      Opt<&Config::gpu, TableCodec<GlobalGpu>>("gpu", "Graphics of all silos."),
      Opt<&Config::balloond, TableCodec<Balloond>>(
          "balloond", "The memory daemon.", {.alias = "vmsilo-balloond"}),
      Opt<&Config::tray, TableCodec<Tray>>("tray", "Trays of all silos.",
                                           {.alias = "vmsilo-tray"}),
      Opt<&Config::host_networking, TableCodec<HostNetworking>>(
          "hostNetworking", "The host's network."),
      Opt<&Config::units, UnitsCodec>(
          "units",
          "Raw systemd settings for any generated unit, by its name: "
          "`units.\"vmsilo-balloond.service\".Service.MemoryMax = \"64M\"`. "
          "They are added to what vmsilo writes; a list gives one line per "
          "element. `.service` may be left out."),
      Accepted("netvmRange", kGuestAddress),
      Accepted("enableBashIntegration", "completion comes with the package."),
      Accepted("guestPrograms", kBelongsToImage),
      Accepted("guestConfig", kBelongsToImage),
      Accepted("schedulerIsolation",
               "set crosvm.extraRunArgs or a unit's Service settings."),
      Accepted("nvidiaWeakenSandbox",
               "set gpu.allowWX and a silo's gpu.seccompPolicy."),
      Accepted("isolatedPciDevices",
               "bind devices to vfio-pci with driverctl or the kernel's "
               "command line."),
      Accepted("package", "paths says where programs are."),
  };
  static constexpr TableSchema kTable = {"", "The file's top level.", kOptions};
};

const TableSchema& RootSchema() { return TableOf<Config>::kTable; }
const TableSchema& ImageSchema() { return TableOf<Image>::kTable; }

namespace {

// A key and those around it; a path only when there is something to say.
struct KeyChain {
  const KeyChain* parent = nullptr;
  absl::string_view key;

  std::string Path() const {
    return parent == nullptr ? "" : JoinKey(parent->Path(), key);
  }
};

void Normalize(const Shape& shape, const KeyChain& path, Value& value,
               DiagnosticSink& sink);

void NormalizeTable(const TableSchema& schema, const KeyChain& path,
                    Value& value, DiagnosticSink& sink) {
  Value::Table& table = *value.AsTable();
  for (const Option& option : schema.options) {
    if (option.alias.empty()) continue;
    const auto found = FindInTable(table, option.alias);
    if (found == table.end()) continue;
    const auto member = table.begin() + (found - table.cbegin());
    const auto same = FindInTable(table, option.key);
    if (same != table.end()) {
      sink.Add(Severity::kError, member->at,
               KeyChain{&path, member->key}.Path(),
               absl::StrCat("this is another name for '", option.key,
                            "', which is on line ", same->at.line, " too"));
      table.erase(member);
      continue;
    }
    member->key = std::string(option.key);
    // Keeps the order for the next search.
    SortMembers(table);
  }
  for (const Option& option : schema.options) {
    if (option.shape->kind == Shape::Kind::kBoolean ||
        option.shape->kind == Shape::Kind::kText) {
      continue;
    }
    const auto found = FindInTable(table, option.key);
    if (found == table.end()) continue;
    Normalize(*option.shape, KeyChain{&path, option.key},
              table[found - table.cbegin()].value, sink);
  }
}

void Normalize(const Shape& shape, const KeyChain& path, Value& value,
               DiagnosticSink& sink) {
  switch (shape.kind) {
    case Shape::Kind::kTable:
      if (value.is_table()) NormalizeTable(*shape.table, path, value, sink);
      return;
    case Shape::Kind::kMap:
      if (value.is_table()) {
        for (Value::Member& member : *value.AsTable()) {
          Normalize(*shape.first, KeyChain{&path, member.key}, member.value,
                    sink);
        }
      }
      return;
    case Shape::Kind::kList:
      if (value.is_array()) {
        for (Value& element : *value.AsArray()) {
          Normalize(*shape.first, path, element, sink);
        }
      }
      return;
    case Shape::Kind::kEither:
      Normalize(*shape.first, path, value, sink);
      Normalize(*shape.second, path, value, sink);
      return;
    case Shape::Kind::kBoolean:
    case Shape::Kind::kInteger:
    case Shape::Kind::kNumber:
    case Shape::Kind::kText:
    case Shape::Kind::kAnything:
      return;
  }
}

}  // namespace

void NormalizeNames(Value& root, DiagnosticSink& sink) {
  if (root.is_table()) NormalizeTable(RootSchema(), KeyChain(), root, sink);
}

Config ReadConfig(const Value& root, DiagnosticSink& sink) {
  Config config;
  Reader reader(&sink);
  reader.ReadTable(RootSchema(), root, &config);
  return config;
}

Image ReadImage(const Value& root, DiagnosticSink& sink) {
  Image image;
  Reader reader(&sink);
  reader.ReadTable(ImageSchema(), root, &image);
  return image;
}

}  // namespace vmsilo::config
