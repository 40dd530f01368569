#include "config/check.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/parse_size.h"
#include "config/layout.h"
#include "config/locate.h"

namespace vmsilo::config {
namespace {

// Without what a path says twice, `.` and `..`: links are not looked at.
std::string LexicallyNormal(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (const absl::string_view part :
       absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return absl::StrCat("/", absl::StrJoin(parts, "/"));
}

bool IsBelow(absl::string_view path, absl::string_view directory) {
  return absl::ConsumePrefix(&path, directory) && absl::StartsWith(path, "/");
}

class Checker {
 public:
  Checker(const Value& tree, const Config& config, DiagnosticSink& sink)
      : tree_(tree), config_(config), sink_(sink) {}

  void CheckReferences(const Vm& vm);
  void CheckCycles();
  void CheckNames();
  void CheckSocketPaths(const Vm& vm);
  void CheckUsbDevices();
  void CheckDisks();
  void CheckPciDevices();
  void CheckShare(const Vm& vm, const SharedDirectory& share);
  void CheckInterfaces();
  void CheckOptions(const Vm& vm);
  void CheckBalloond();
  void CheckImage(const Vm& vm);
  void CheckHypervisor(const Vm& vm);

 private:
  void Error(const Location& location, std::string message) {
    sink_.Add(Severity::kError, location.at, location.key, std::move(message));
  }
  void Warning(const Location& location, std::string message) {
    sink_.Add(Severity::kWarning, location.at, location.key,
              std::move(message));
  }
  Location At(const Vm& vm, absl::string_view key) const {
    return Locate(tree_, {"vms", vm.name, key});
  }

  std::string UnknownSilo(absl::string_view name) const;
  std::vector<const Vm*> Needs(const Vm& vm) const;
  // Steps into a silo; `open` are those on the way to it.
  void VisitForCycles(const Vm& vm, std::vector<const Vm*>& open,
                      absl::flat_hash_set<const Vm*>& done);
  // What has the unit: the host, a silo, or one of its shares.
  struct Owner {
    const Vm* vm = nullptr;
    const SharedDirectory* share = nullptr;
  };
  static std::string Name(const Owner& owner);
  // A silo, or one of its shares.
  Location At(const Vm& vm, const SharedDirectory* share) const;
  void ClaimUnit(const std::string& unit, Owner owner);
  void CheckSocketPath(const Vm& vm, const SharedDirectory* share,
                       const std::string& path);
  void CheckQemu(const Vm& vm);
  void CheckCloudHypervisor(const Vm& vm);

  const Value& tree_;
  const Config& config_;
  DiagnosticSink& sink_;
  absl::flat_hash_map<std::string, Owner> units_;
};

std::string Checker::UnknownSilo(absl::string_view name) const {
  // Nobody would see it.
  if (sink_.is_full()) return "";
  std::vector<absl::string_view> names;
  // Beyond that, a misprint is not the likeliest cause, and comparing costs.
  constexpr size_t kMaxCompared = 200;
  for (const Vm& vm : config_.vms) {
    if (names.size() < kMaxCompared) names.push_back(vm.name);
  }
  const absl::string_view nearest = Nearest(name, names);
  return absl::StrCat(
      "there is no silo '", name, "'",
      nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?"));
}

void Checker::CheckReferences(const Vm& vm) {
  for (size_t i = 0; i < vm.depends_on.size(); ++i) {
    const std::string& name = vm.depends_on[i];
    if (config_.FindVm(name) != nullptr) continue;
    Error(LocateElement(tree_, {"vms", vm.name, "dependsOn"}, i),
          UnknownSilo(name));
  }
  if (!vm.network.netvm) return;
  const Location location = Locate(tree_, {"vms", vm.name, "network", "netvm"});
  if (*vm.network.netvm != "host") {
    const Vm* netvm = config_.FindVm(*vm.network.netvm);
    if (netvm == nullptr) {
      return Error(location, UnknownSilo(*vm.network.netvm));
    }
    if (!netvm->network.is_netvm) {
      return Error(location,
                   absl::StrCat("'", netvm->name,
                                "' does not offer its network; set vms.",
                                netvm->name, ".network.isNetvm = true"));
    }
  }
  if (vm.network.interfaces.empty()) {
    // The prototype made a link of its own from this.
    Warning(location,
            "the silo has no network: this says only which silo is started "
            "first; add network.interfaces");
  }
}

std::vector<const Vm*> Checker::Needs(const Vm& vm) const {
  std::vector<const Vm*> needs;
  const auto add = [this, &needs](absl::string_view name) {
    const Vm* found = config_.FindVm(name);
    if (found != nullptr) needs.push_back(found);
  };
  for (const std::string& name : vm.depends_on) add(name);
  if (vm.network.netvm && *vm.network.netvm != "host") add(*vm.network.netvm);
  return needs;
}

// As deep as there are silos at most (kMaxMapEntries).
void Checker::VisitForCycles(const Vm& vm, std::vector<const Vm*>& open,
                             absl::flat_hash_set<const Vm*>& done) {
  open.push_back(&vm);
  for (const Vm* next : Needs(vm)) {
    if (done.contains(next)) continue;
    const auto begin = std::find(open.begin(), open.end(), next);
    if (begin == open.end()) {
      VisitForCycles(*next, open, done);
      continue;
    }
    const bool is_netvm = vm.network.netvm && *vm.network.netvm == next->name;
    Error(is_netvm ? Locate(tree_, {"vms", vm.name, "network", "netvm"})
                   : At(vm, "dependsOn"),
          absl::StrCat("silos wait for each other: ",
                       absl::StrJoin(begin, open.end(), " -> ",
                                     [](std::string* out, const Vm* on_way) {
                                       *out += on_way->name;
                                     }),
                       " -> ", next->name));
  }
  open.pop_back();
  done.insert(&vm);
}

void Checker::CheckCycles() {
  std::vector<const Vm*> open;
  absl::flat_hash_set<const Vm*> done;
  for (const Vm& vm : config_.vms) {
    if (!done.contains(&vm)) VisitForCycles(vm, open, done);
  }
}

std::string Checker::Name(const Owner& owner) {
  if (owner.vm == nullptr) return "the host";
  std::string silo = absl::StrCat("silo '", owner.vm->name, "'");
  if (owner.share == nullptr) return silo;
  return absl::StrCat("share '", owner.share->tag, "' of ", silo);
}

Location Checker::At(const Vm& vm, const SharedDirectory* share) const {
  if (share == nullptr || share->is_home) {
    return Locate(tree_, {"vms", vm.name});
  }
  return Locate(tree_, {"vms", vm.name, "sharedDirectories", share->tag});
}

void Checker::ClaimUnit(const std::string& unit, Owner owner) {
  const auto [found, is_new] = units_.emplace(unit, owner);
  if (is_new) return;
  Error(At(*owner.vm, owner.share),
        absl::StrCat("the unit ", found->first, " of ", Name(owner),
                     " is that of ", Name(found->second),
                     ", too; choose another name"));
}

void Checker::CheckNames() {
  units_.reserve(std::size(layout::kHostUnits) +
                 config_.vms.size() * (std::size(layout::kRoles) + 2));
  for (absl::string_view unit : layout::kHostUnits) {
    ClaimUnit(std::string(unit), {});
  }
  absl::flat_hash_map<std::string, const Vm*> users;
  for (const Vm& vm : config_.vms) {
    if (vm.name == "host") {
      Error(At(vm, nullptr),
            "a silo cannot be called 'host': that means the host");
    }
    for (absl::string_view role : layout::kRoles) {
      ClaimUnit(layout::UnitForRole(vm.name, role), {&vm});
    }
    for (const SharedDirectory& share : vm.shared_directories) {
      ClaimUnit(layout::VirtiofsdUnit(vm.name, share.tag), {&vm, &share});
    }
    for (const std::string& user :
         {layout::HypervisorUser(vm.name), layout::ProxyUser(vm.name)}) {
      const auto [found, is_new] = users.emplace(user, &vm);
      if (is_new) continue;
      Error(At(vm, nullptr),
            absl::StrCat("programs of this silo and of '", found->second->name,
                         "' would run as the same user, ", found->first,
                         "; choose another name"));
      break;
    }
  }
}

void Checker::CheckSocketPath(const Vm& vm, const SharedDirectory* share,
                              const std::string& path) {
  if (path.size() <= kMaxSocketPath) return;
  const size_t surplus = path.size() - kMaxSocketPath;
  Error(At(vm, share),
        absl::StrCat("the socket's path ", path, " has ", path.size(),
                     " bytes, but Linux takes ", kMaxSocketPath,
                     " only; choose a name that is ", surplus,
                     surplus == 1 ? " byte" : " bytes", " shorter"));
}

void Checker::CheckSocketPaths(const Vm& vm) {
  // The longest of those that every silo of the hypervisor has.
  std::string longest = layout::ControlSocket(vm.name, vm.hypervisor);
  for (std::string path :
       {layout::ConsoleBackendSocket(vm.name),
        layout::HypervisorConsoleSocket(vm.name),
        layout::WaylandSocket(vm.name), layout::CommandSocket(vm.name)}) {
    if (path.size() > longest.size()) longest = std::move(path);
  }
  CheckSocketPath(vm, nullptr, longest);
  for (const SharedDirectory& share : vm.shared_directories) {
    CheckSocketPath(vm, &share, layout::VirtiofsSocket(vm.name, share.tag));
    if (share.tag.size() > kMaxVirtiofsTag) {
      Error(At(vm, &share),
            absl::StrCat("a share's tag has at most ", kMaxVirtiofsTag,
                         " bytes, this one has ", share.tag.size()));
    }
  }
}

void Checker::CheckUsbDevices() {
  // The claims for devices of one kind ("046d:c52b"). Without a serial number
  // a claim is for every device of the kind.
  struct Claims {
    const Vm* first = nullptr;
    const Vm* for_all = nullptr;
    absl::flat_hash_map<std::string, const Vm*> by_serial;
  };
  absl::flat_hash_map<std::string, Claims> kinds;
  for (const Vm& vm : config_.vms) {
    for (size_t i = 0; i < vm.usb_devices.size(); ++i) {
      const UsbDevice& device = vm.usb_devices[i];
      Claims& claims =
          kinds[absl::StrCat(device.vendor_id, ":", device.product_id)];
      const Vm* other = claims.for_all;
      if (device.serial) {
        const auto [found, is_new] =
            claims.by_serial.emplace(*device.serial, &vm);
        if (!is_new) other = found->second;
      } else {
        if (claims.first != nullptr) other = claims.first;
        claims.for_all = &vm;
      }
      if (claims.first == nullptr) claims.first = &vm;
      if (other == nullptr) continue;
      Error(
          LocateElement(tree_, {"vms", vm.name, "usbDevices"}, i),
          absl::StrCat("the device ", device.vendor_id, ":", device.product_id,
                       " is already claimed by silo '", other->name,
                       "'; if there are two of them, give both a "
                       "'serial'"));
    }
  }
}

void Checker::CheckInterfaces() {
  absl::flat_hash_map<std::string, const Vm*> taps;
  for (const Vm& vm : config_.vms) {
    for (const Interface& interface : vm.network.interfaces) {
      const auto at = [this, &vm, &interface](absl::string_view key) {
        return Locate(tree_, {"vms", vm.name, "network", "interfaces",
                              interface.name, "tap", key});
      };
      const Tap& tap = interface.tap;
      const auto [found, is_new] = taps.emplace(tap.name, &vm);
      if (!is_new) {
        Error(at("name"),
              absl::StrCat("the TAP interface '", tap.name,
                           "' is already one of silo '", found->second->name,
                           "'; set another name"));
      }
      if (tap.host_address && tap.bridge) {
        Error(at("hostAddress"),
              "an interface in a bridge has no address of its own: either "
              "'hostAddress' or 'bridge'");
      }
      if (tap.bridge && *tap.bridge == tap.name) {
        Error(at("bridge"), "the bridge has the TAP interface's name");
      }
    }
  }
}

void Checker::CheckBalloond() {
  const Balloond& balloond = config_.balloond;
  if (balloond.min_poll_interval <= balloond.poll_interval) return;
  Error(Locate(tree_, {"balloond", "minPollInterval"}),
        absl::StrCat("more than pollInterval, ",
                     absl::FormatDuration(balloond.poll_interval)));
}

void Checker::CheckOptions(const Vm& vm) {
  if (vm.memory_guaranteed && *vm.memory_guaranteed > vm.memory) {
    Error(At(vm, "memoryGuaranteed"),
          absl::StrCat("more than the silo's memory, ", FormatSize(vm.memory)));
  }
  if (vm.console.mode != ConsoleMode::kRelay) {
    for (const absl::string_view key : {"scrollback", "log"}) {
      const bool is_wanted =
          key == "log" ? vm.console.log.has_value()
                       : IsSet(tree_, {"vms", vm.name, "console", key});
      if (!is_wanted) continue;
      Error(Locate(tree_, {"vms", vm.name, "console", key}),
            absl::StrCat("a console with mode = \"", ToString(vm.console.mode),
                         "\" has no ", key, "; set mode = \"relay\""));
    }
  }
  if (vm.gpu && !vm.gpu->wayland && !vm.gpu->opengl) {
    Error(At(vm, "gpu"),
          "graphics without wayland and opengl are none; set gpu = false");
  }
  for (const SharedDirectory& share : vm.shared_directories) {
    CheckShare(vm, share);
  }
}

void Checker::CheckPciDevices() {
  absl::flat_hash_map<std::string, const Vm*> owners;
  for (const Vm& vm : config_.vms) {
    for (size_t i = 0; i < vm.pci_devices.size(); ++i) {
      const std::string& address = vm.pci_devices[i].address;
      const auto [found, is_new] = owners.emplace(address, &vm);
      if (is_new) continue;
      Error(LocateElement(tree_, {"vms", vm.name, "pciDevices"}, i),
            found->second == &vm
                ? absl::StrCat("the device ", address, " is there twice")
                : absl::StrCat("the device ", address,
                               " is already claimed by silo '",
                               found->second->name, "'"));
    }
  }
}

// `path` is used a second time.
std::string AlsoUsed(const std::string& path, const Vm& vm, bool writes,
                     const Vm& other, bool other_writes) {
  if (&vm == &other) {
    return absl::StrCat(path, " is there twice, and the silo may write to it");
  }
  if (writes && other_writes) {
    return absl::StrCat(path, " is a disk of silo '", other.name,
                        "', too: two silos that write to one disk destroy it");
  }
  return absl::StrCat(
      "silo '", other.name, "' ", other_writes ? "may write to " : "uses ",
      path, other_writes ? "" : ", too",
      ": what one silo writes, no other may read or boot; set readOnly = true ",
      other_writes ? "there" : "here", ", or copy the file");
}

// What one silo may write, no other may write, read or boot: it would be a way
// from one into the other.
void Checker::CheckDisks() {
  struct Use {
    const Vm* vm = nullptr;
    Location location;
    bool writes = false;
  };
  struct Uses {
    const Vm* first = nullptr;
    std::optional<Use> writer;
  };
  absl::flat_hash_map<std::string, Uses> files;
  const auto add = [this, &files](const std::string& path, Use use) {
    Uses& uses = files[LexicallyNormal(path)];
    const Vm* other = uses.writer  ? uses.writer->vm
                      : use.writes ? uses.first
                                   : nullptr;
    if (other != nullptr) {
      Error(use.location, AlsoUsed(path, *use.vm, use.writes, *other,
                                   uses.writer.has_value()));
    }
    if (uses.first == nullptr) uses.first = use.vm;
    if (use.writes && !uses.writer) uses.writer = std::move(use);
  };
  for (const Vm& vm : config_.vms) {
    if (vm.kernel) add(*vm.kernel, {&vm, At(vm, "kernel")});
    if (vm.initrd) add(*vm.initrd, {&vm, At(vm, "initrd")});
    if (vm.root_disk) add(vm.root_disk->path, {&vm, At(vm, "rootDisk")});
    for (size_t i = 0; i < vm.disks.size(); ++i) {
      const Disk& disk = vm.disks[i];
      const Location at = LocateElement(tree_, {"vms", vm.name, "disks"}, i);
      add(disk.path, {&vm, at, !disk.read_only});
      if (disk.read_only) continue;
      for (const absl::string_view directory :
           {absl::string_view(config_.image_dir), layout::kOverlayDir}) {
        if (!IsBelow(LexicallyNormal(disk.path), LexicallyNormal(directory))) {
          continue;
        }
        Error(at,
              absl::StrCat("a silo that may write to what is below ", directory,
                           " may change what others boot; choose another "
                           "place, or set readOnly = true"));
      }
    }
  }
  for (const Image& image : config_.images) {
    for (const std::optional<std::string>& file :
         {std::optional<std::string>(image.kernel), image.initrd,
          image.root_disk}) {
      if (!file || !absl::StartsWith(*file, "/")) continue;
      const auto found = files.find(LexicallyNormal(*file));
      if (found == files.end() || !found->second.writer) continue;
      Error(found->second.writer->location,
            absl::StrCat(*file, " belongs to the image '", image.name,
                         "', and a silo that may write to it may change what "
                         "others boot; set readOnly = true"));
    }
  }
}

void Checker::CheckShare(const Vm& vm, const SharedDirectory& share) {
  const auto at = [this, &vm, &share](absl::string_view key) {
    return Locate(tree_, {"vms", vm.name, "sharedDirectories", share.tag, key});
  };
  const auto check_map = [&](absl::string_view key,
                             const std::optional<std::string>& map,
                             uint32_t id) {
    if (!map) return;
    if (share.run_as_root) {
      Error(at(key),
            "virtiofsd takes it only where it does not run as root; "
            "remove it or runAsRoot");
    } else if (!absl::EndsWith(*map, absl::StrCat(":", id, ":1:"))) {
      Error(at(key),
            absl::StrCat("virtiofsd runs as ", config_.user.name,
                         ", who can map no other id than ", id, ": \":0:", id,
                         ":1:\" is all there is; see translateUid"));
    }
  };
  check_map("uidMap", share.uid_map, config_.user.uid);
  check_map("gidMap", share.gid_map, config_.user.gid);
  if (share.inode_file_handles == InodeFileHandles::kMandatory &&
      !share.run_as_root) {
    Error(at("inodeFileHandles"),
          "only root can open files by their handles; set runAsRoot = true if "
          "the guest may have all that is in the directory, or remove it");
  }
  if (share.posix_acl &&
      !(share.translate_uid.empty() && share.translate_gid.empty())) {
    Error(at("posixAcl"),
          "virtiofsd does not translate the ids in access control lists: "
          "either posixAcl or translateUid and translateGid");
  }
}

void Checker::CheckQemu(const Vm& vm) {
  if (vm.gpu) {
    Error(At(vm, "gpu"),
          "QEMU cannot show a guest's windows on the desktop; set "
          "hypervisor = \"crosvm\", or gpu = false");
  }
  if (vm.sound.enabled() && config_.qemu.version < kQemuWithSound) {
    Error(At(vm, "sound"),
          "QEMU has had a sound device for this since 9.0; set qemu.version "
          "if yours is newer, or sound = false");
  }
}

void Checker::CheckCloudHypervisor(const Vm& vm) {
  // The closed list of what is accepted all the same, as the prototype did.
  if (!vm.usb_devices.empty()) {
    Warning(At(vm, "usbDevices"),
            "Cloud Hypervisor has no USB; the devices stay with the host "
            "(crosvm and qemu have USB)");
  }
  if (vm.tray.enable) {
    Warning(At(vm, "tray"),
            "the tray does not work under Cloud Hypervisor and is left out "
            "(it does under crosvm and qemu)");
  }
  if (vm.gpu) {
    Warning(At(vm, "gpu"),
            "released versions of Cloud Hypervisor cannot use the GPU back "
            "end (crosvm can); gpu = false leaves it out");
  }
  const CloudHypervisor& global = config_.cloud_hypervisor;
  if (vm.sound.enabled() && global.version < kCloudHypervisorWithSound) {
    Error(At(vm, "sound"),
          "Cloud Hypervisor has had a device for sound since 52.0; set "
          "cloud-hypervisor.version if yours is newer, or sound = false");
  }
  const Image* image = vm.uses_image() ? config_.FindImage(*vm.image) : nullptr;
  const bool has_root =
      vm.root_disk.has_value() ||
      (vm.uses_image() && (image == nullptr || image->root_disk.has_value()));
  const bool can_write =
      (has_root && vm.root_overlay.type == OverlayType::kRaw) ||
      std::any_of(vm.disks.begin(), vm.disks.end(),
                  [](const Disk& disk) { return !disk.read_only; });
  if (can_write && global.version < kCloudHypervisorWithImageType) {
    Error(At(vm, "hypervisor"),
          "Cloud Hypervisor before 51.0 guesses the format of disks, so that "
          "a guest can make it read files of the host; set "
          "cloud-hypervisor.version if yours is newer, or give the silo no "
          "disk to write to");
  }
}

void Checker::CheckImage(const Vm& vm) {
  if (!vm.uses_image()) return;
  const Image* image = config_.FindImage(*vm.image);
  if (image == nullptr || image->hypervisors.empty() ||
      std::find(image->hypervisors.begin(), image->hypervisors.end(),
                vm.hypervisor) != image->hypervisors.end()) {
    return;
  }
  Error(At(vm, "image"),
        absl::StrCat("the image '", image->name, "' does not boot under ",
                     ToString(vm.hypervisor), " but under ",
                     absl::StrJoin(image->hypervisors, ", ",
                                   [](std::string* out, Hypervisor one) {
                                     absl::StrAppend(out, ToString(one));
                                   }),
                     ", says its description"));
}

void Checker::CheckHypervisor(const Vm& vm) {
  if (vm.root_overlay.type == OverlayType::kQcow2 &&
      vm.hypervisor != Hypervisor::kQemu) {
    Error(Locate(tree_, {"vms", vm.name, "rootOverlay", "type"}),
          absl::StrCat(ToString(vm.hypervisor),
                       " makes no qcow2 overlays (qemu does); \"raw\" and "
                       "\"tmpfs\" work everywhere"));
  }
  switch (vm.hypervisor) {
    case Hypervisor::kCrosvm:
      return;
    case Hypervisor::kCloudHypervisor:
      return CheckCloudHypervisor(vm);
    case Hypervisor::kQemu:
      return CheckQemu(vm);
  }
}

}  // namespace

void Check(const Value& tree, const Config& config, DiagnosticSink& sink) {
  Checker checker(tree, config, sink);
  checker.CheckCycles();
  checker.CheckNames();
  checker.CheckUsbDevices();
  checker.CheckPciDevices();
  checker.CheckDisks();
  checker.CheckInterfaces();
  checker.CheckBalloond();
  for (const Vm& vm : config.vms) {
    checker.CheckReferences(vm);
    checker.CheckSocketPaths(vm);
    checker.CheckOptions(vm);
    checker.CheckImage(vm);
    checker.CheckHypervisor(vm);
  }
  const CloudHypervisor& cloud = config.cloud_hypervisor;
  if (cloud.seccomp == CloudHypervisorSeccomp::kErrno &&
      cloud.version < Version{53, 0}) {
    const Location at = Locate(tree, {"cloud-hypervisor", "seccomp"});
    sink.Add(Severity::kError, at.at, at.key,
             "\"errno\" needs cloud-hypervisor.version 53.0 or newer");
  }
  if (cloud.landlock && cloud.version < Version{41, 0}) {
    const Location at = Locate(tree, {"cloud-hypervisor", "landlock"});
    sink.Add(Severity::kError, at.at, at.key,
             "Landlock needs cloud-hypervisor.version 41.0 or newer");
  }
}

}  // namespace vmsilo::config
