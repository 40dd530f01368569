#include "unitgen/host_checks.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "config/config.h"
#include "config/layout.h"
#include "hypervisor/boot.h"
#include "unitgen/child.h"
#include "unitgen/features.h"
#include "unitgen/unit_file.h"

namespace vmsilo::unitgen {
namespace {

using config::Hypervisor;

// A program that only prints its version; a slow disk may have to be woken up.
constexpr absl::Duration kVersionTimeout = absl::Seconds(10);
constexpr size_t kMaxVersionText = 4096;

// A number and the end of its line.
constexpr size_t kMaxSetting = 256;

// Against what this release was run: the program as the distribution ships it,
// or built from the project's own source without a change
// (//tests/silo:silo_test, //tests/silo:hypervisor_check). README.md has the
// same table.
struct Seen {
  Hypervisor hypervisor;
  absl::string_view title;
  absl::string_view versions;
  // Without releases there is nothing to compare: crosvm calls itself 0.1.0
  // ever since.
  bool has_releases = true;
};
constexpr Seen kSeen[] = {
    {Hypervisor::kCrosvm, "crosvm", "main of 2026-08-21", false},
    {Hypervisor::kCloudHypervisor, "Cloud Hypervisor", "53.0"},
    {Hypervisor::kQemu, "QEMU", "7.2"},
};

// What needs to look at is below /dev for these.
constexpr char kKvm[] = "/dev/kvm";
constexpr char kVhostVsock[] = "/dev/vhost-vsock";

std::string Shown(const config::Version& version) {
  return absl::StrCat(version.major_number, ".", version.minor_number);
}

std::string ProgramOf(const config::Config& config, Hypervisor hypervisor) {
  switch (hypervisor) {
    case Hypervisor::kCrosvm:
      return config.paths.crosvm;
    case Hypervisor::kCloudHypervisor:
      return config.paths.cloud_hypervisor;
    case Hypervisor::kQemu:
      break;
  }
  return config.paths.qemu;
}

// The program of an Exec…= line, without systemd's prefix characters.
std::string ProgramOfLine(absl::string_view line) {
  while (!line.empty() &&
         absl::string_view("@-:+!|").find(line[0]) != absl::string_view::npos) {
    line.remove_prefix(1);
  }
  const absl::string_view word = line.substr(0, line.find(' '));
  return absl::StrReplaceAll(word, {{"%%", "%"}});
}

std::string PathsKey(const config::Config& config, const std::string& program) {
  const config::Paths& paths = config.paths;
  const std::pair<absl::string_view, const std::string&> known[] = {
      {"crosvm", paths.crosvm},
      {"cloudHypervisor", paths.cloud_hypervisor},
      {"qemu", paths.qemu},
      {"virtiofsd", paths.virtiofsd},
      {"sound", paths.sound},
      {"proxy", paths.proxy},
      {"consoleRelay", paths.console_relay},
      {"balloond", paths.balloond},
      {"usb", paths.usb},
      {"trayHost", paths.tray_host},
      {"waylandSeccontext", paths.wayland_seccontext},
      {"prepare", paths.prepare},
      {"systemctl", paths.systemctl},
  };
  for (const auto& [key, path] : known) {
    if (path == program) return absl::StrCat("paths.", key);
  }
  return "paths";
}

class Checks {
 public:
  Checks(const config::Config& config, const Output& output, Host* host)
      : config_(config), output_(output), host_(host) {}

  std::vector<Warning> Run() && {
    CheckPrograms();
    CheckVersions();
    for (const config::Vm& vm : config_.vms) CheckVm(vm);
    return std::move(warnings_);
  }

 private:
  void Warn(std::string key, std::string message) {
    Warning warning = {std::move(key), std::move(message)};
    if (std::find(warnings_.begin(), warnings_.end(), warning) ==
        warnings_.end()) {
      warnings_.push_back(std::move(warning));
    }
  }

  bool IsExecutable(const std::string& program) {
    const auto facts = host_->Stat(program);
    return facts.has_value() && facts->kind == Host::FileKind::kRegular &&
           (facts->mode & 0111) != 0;
  }

  // By what the units start, so that it is complete whatever they are.
  void CheckPrograms() {
    std::map<std::string, std::vector<std::string>> users;
    for (const auto& [path, file] : output_.files) {
      if (file.kind != File::Kind::kRegular ||
          !absl::StartsWith(path, "systemd/")) {
        continue;
      }
      const auto assignments = ParseUnitFile(file.content);
      if (!assignments.ok()) continue;
      const std::string unit = path.substr(path.rfind('/') + 1);
      for (const Assignment& one : *assignments) {
        if (one.section != "Service" || !absl::StartsWith(one.key, "Exec") ||
            !absl::StrContains(one.value, '/')) {
          continue;
        }
        std::vector<std::string>& units = users[ProgramOfLine(one.value)];
        if (units.empty() || units.back() != unit) units.push_back(unit);
      }
    }
    for (const auto& [program, units] : users) {
      if (IsExecutable(program)) continue;
      Warn(PathsKey(config_, program),
           absl::StrCat(program, " is not there, or not a program; ",
                        units.front(),
                        units.size() == 1
                            ? std::string()
                            : absl::StrCat(" and ", units.size() - 1, " more"),
                        units.size() == 1 ? " needs it" : " need it",
                        ": install it, say where it is, or switch off what "
                        "it is for"));
    }
  }

  void CheckVersions() {
    std::set<Hypervisor> used;
    bool has_shares = false;
    for (const config::Vm& vm : config_.vms) {
      used.insert(vm.hypervisor);
      has_shares = has_shares || !vm.shared_directories.empty();
    }
    if (used.contains(Hypervisor::kQemu)) {
      CheckVersion("QEMU", config_.paths.qemu, config_.qemu.version,
                   "qemu.version");
    }
    if (used.contains(Hypervisor::kCloudHypervisor)) {
      CheckVersion("Cloud Hypervisor", config_.paths.cloud_hypervisor,
                   config_.cloud_hypervisor.version,
                   "cloud-hypervisor.version");
    }
    CheckUserNamespaces();
    if (!has_shares || !IsExecutable(config_.paths.virtiofsd)) return;
    const auto text = host_->VersionText(config_.paths.virtiofsd);
    // The one in C, which came with QEMU until 8.0, tells who wrote it.
    if (text.has_value() && absl::StrContains(*text, "QEMU Project")) {
      Warn("paths.virtiofsd",
           absl::StrCat(config_.paths.virtiofsd,
                        " is the virtiofsd of QEMU, written in C, and has "
                        "other options; shared directories need the one "
                        "written in Rust (the package virtiofsd of Debian 13, "
                        "or https://gitlab.com/virtio-fs/virtiofsd)"));
    }
  }

  // virtiofsd is the desktop user's, and makes its sandbox itself.
  void CheckUserNamespaces() {
    struct Setting {
      absl::string_view name;
      absl::string_view forbids;
      absl::string_view allows;
    };
    constexpr Setting kSettings[] = {
        {"kernel/unprivileged_userns_clone", "0", "1"},
        {"kernel/apparmor_restrict_unprivileged_userns", "1", "0"},
        {"user/max_user_namespaces", "0", "1024 or more"},
    };
    for (const config::Vm& vm : config_.vms) {
      for (const config::SharedDirectory& share : vm.shared_directories) {
        if (share.run_as_root) continue;
        for (const Setting& setting : kSettings) {
          const auto value =
              host_->Read(absl::StrCat("/proc/sys/", setting.name));
          if (!value.has_value() ||
              absl::StripAsciiWhitespace(*value) != setting.forbids) {
            continue;
          }
          const std::string name =
              absl::StrReplaceAll(setting.name, {{"/", "."}});
          Warn("paths.virtiofsd",
               absl::StrCat("the sysctl ", name, " = ", setting.forbids,
                            " forbids ", config_.user.name,
                            "'s virtiofsd the user namespace that it needs for "
                            "shared directories: set it to ",
                            setting.allows));
        }
        return;
      }
    }
  }

  void CheckVersion(absl::string_view title, const std::string& program,
                    const config::Version& written_for, absl::string_view key) {
    if (!IsExecutable(program)) return;
    const auto text = host_->VersionText(program);
    if (!text.has_value()) {
      Warn(std::string(key), absl::StrCat(program, " --version fails"));
      return;
    }
    const auto version = ParseVersionText(*text);
    if (!version.has_value() || *version == written_for) return;
    Warn(std::string(key),
         absl::StrCat("the units are written for ", title, " ",
                      Shown(written_for), ", and ", program, " is ",
                      Shown(*version), ": set ", key, " = \"", Shown(*version),
                      "\""));
  }

  void CheckVm(const config::Vm& vm) {
    const std::string key = absl::StrCat("vms.", vm.name);
    const bool needs_kvm =
        vm.hypervisor != Hypervisor::kQemu ||
        config_.qemu.accelerator == config::Accelerator::kKvm;
    if (needs_kvm && !host_->Stat(kKvm).has_value()) {
      Warn(vm.hypervisor == Hypervisor::kQemu ? "qemu.accelerator"
                                              : key + ".hypervisor",
           absl::StrCat(kKvm,
                        " is not there: virtualization is off in the "
                        "firmware, or the module kvm is not loaded"));
    }
    if (vm.hypervisor != Hypervisor::kCloudHypervisor &&
        !host_->Stat(kVhostVsock).has_value()) {
      Warn(key + ".hypervisor",
           absl::StrCat(kVhostVsock,
                        " is not there, and without it commands "
                        "do not reach the silo: modprobe "
                        "vhost_vsock"));
    }
    CheckBoot(vm, key);
    if (vm.console.mode == config::ConsoleMode::kFile) {
      Warn(key + ".console",
           absl::StrCat(layout::ConsoleFile(vm.name),
                        " grows without a limit while the silo runs, and /run "
                        "is in memory: a guest that writes much fills it. "
                        "\"file\" is for tests; \"relay\" and \"off\" keep "
                        "nothing"));
    }
    for (const config::SharedDirectory& share : vm.shared_directories) {
      CheckShare(key, share);
    }
    CheckNetwork(vm, key);
    CheckPciDevices(vm, key);
  }

  // Devices that somebody else is to make before the silo starts. Its start
  // waits for them.
  void CheckNetwork(const config::Vm& vm, const std::string& key) {
    // Made when systemd-networkd has read what `install` writes.
    if (config_.host_networking.networkd) return;
    const auto check = [&](const config::Interface& interface,
                           absl::string_view option, const std::string& device,
                           absl::string_view mark, absl::string_view what,
                           absl::string_view how) {
      const std::string place = absl::StrCat("/sys/class/net/", device);
      const bool is_there = host_->Stat(place).has_value();
      if (is_there && host_->Stat(absl::StrCat(place, mark)).has_value()) {
        return;
      }
      Warn(absl::StrCat(key, ".network.interfaces.", interface.name, ".tap",
                        option),
           absl::StrCat("the network device ", device,
                        is_there ? " is no " : " is not there, but a ", what,
                        is_there ? "" : " is needed",
                        ", and the silo's start would wait for it in vain: ",
                        how, ", or set hostNetworking.networkd = true"));
    };
    for (const config::Interface& interface : vm.network.interfaces) {
      const config::Tap& tap = interface.tap;
      check(
          interface, "", tap.name, "/tun_flags", "TAP",
          absl::StrCat("ip tuntap add ", tap.name, " mode tap vnet_hdr user ",
                       HasOwnUser(config_, vm) ? layout::HypervisorUser(vm.name)
                                               : "root"));
      if (!tap.bridge.has_value()) continue;
      check(interface, ".bridge", *tap.bridge, "/bridge", "bridge",
            absl::StrCat("ip link add ", *tap.bridge, " type bridge"));
    }
  }

  void CheckPciDevices(const config::Vm& vm, const std::string& key) {
    for (const config::PciDevice& device : vm.pci_devices) {
      const std::string& address = device.address;
      if (!host_->Stat(absl::StrCat("/sys/bus/pci/devices/", address))
               .has_value()) {
        Warn(key + ".pciDevices",
             absl::StrCat("there is no PCI device ", address));
      } else if (!host_
                      ->Stat(absl::StrCat("/sys/bus/pci/drivers/vfio-pci/",
                                          address))
                      .has_value()) {
        Warn(key + ".pciDevices",
             absl::StrCat("the PCI device ", address,
                          " is not bound to vfio-pci, without which no silo "
                          "can have it: driverctl set-override ",
                          address, " vfio-pci"));
      }
    }
  }

  void CheckBoot(const config::Vm& vm, const std::string& key) {
    const hypervisor::Boot boot = hypervisor::ResolveBoot(config_, vm);
    const auto image = hypervisor::ImageDirectory(config_, vm);
    bool has_image = true;
    if (image.has_value()) {
      const auto facts = host_->Stat(*image);
      has_image =
          facts.has_value() && facts->kind == Host::FileKind::kDirectory;
      if (!has_image) {
        Warn(key + ".image",
             absl::StrCat(
                 "there is no image '", *vm.image, "': ", Quoted(*image),
                 facts.has_value() ? " is not a directory" : " is not there"));
      }
    }
    // Without the directory there is no use in naming each of its files.
    const auto is_hopeless = [&](const std::string& path) {
      return !has_image && absl::StartsWith(path, absl::StrCat(*image, "/"));
    };
    if (!is_hopeless(boot.kernel)) CheckBootFile(key + ".kernel", boot.kernel);
    if (boot.initrd.has_value() && !is_hopeless(*boot.initrd)) {
      CheckBootFile(key + ".initrd", *boot.initrd);
    }
    for (const hypervisor::BootDisk& disk : boot.disks) {
      const bool is_root = disk.role == hypervisor::BootDisk::Role::kRoot;
      if (disk.role == hypervisor::BootDisk::Role::kOverlay ||
          is_hopeless(disk.disk.path)) {
        continue;
      }
      CheckDisk(key + (is_root ? ".rootDisk" : ".disks"), disk.disk);
    }
  }

  // Read by the hypervisor, which runs as a user of the silo's own.
  void CheckBootFile(const std::string& key, const std::string& path) {
    const auto facts = host_->Stat(path);
    if (!facts.has_value()) {
      Warn(key, absl::StrCat(Quoted(path), " is not there"));
    } else if (facts->kind != Host::FileKind::kRegular) {
      Warn(key, absl::StrCat(Quoted(path), " is not a file"));
    } else {
      CheckReadable(key, path, *facts);
    }
  }

  void CheckDisk(const std::string& key, const config::Disk& disk) {
    const auto facts = host_->Stat(disk.path);
    if (!facts.has_value()) {
      Warn(key, absl::StrCat(Quoted(disk.path), " is not there"));
    } else if (facts->kind == Host::FileKind::kRegular) {
      if (disk.read_only) {
        CheckReadable(key, disk.path, *facts);
      } else {
        CheckHandedOver(key, disk.path);
      }
    } else if (facts->kind != Host::FileKind::kBlockDevice) {
      Warn(key, absl::StrCat(Quoted(disk.path),
                             " is neither a file nor a block device"));
    }
  }

  void CheckReadable(const std::string& key, const std::string& path,
                     const Host::FileFacts& facts) {
    if (config_.crosvm.run_as_root) return;
    if ((facts.mode & 0004) == 0) {
      Warn(key, absl::StrCat(Quoted(path),
                             " can be read by its owner and group only, not "
                             "by the silo's hypervisor: chmod o+r"));
      return;
    }
    CheckReachable(key, path);
  }

  void CheckReachable(const std::string& key, const std::string& path) {
    if (config_.crosvm.run_as_root) return;
    for (const absl::string_view hidden : {"/tmp/", "/var/tmp/"}) {
      if (!absl::StartsWith(path, hidden)) continue;
      Warn(key, absl::StrCat(Quoted(path),
                             " cannot be reached by the silo's hypervisor, "
                             "which has a ",
                             hidden, " of its own: move it"));
      return;
    }
    for (const std::string& directory : DirectoriesOf(path)) {
      const auto above = host_->Stat(directory);
      if (above.has_value() && (above->mode & 0001) == 0) {
        Warn(key, absl::StrCat(Quoted(path),
                               " cannot be reached by the silo's hypervisor: ",
                               "chmod o+x ", Quoted(directory)));
        return;
      }
    }
  }

  // A disk that is written becomes the hypervisor's at each start, by root.
  void CheckHandedOver(const std::string& key, const std::string& path) {
    CheckReachable(key, path);
    const std::optional<std::string> writable = OthersDirectory(path);
    if (!writable.has_value()) return;
    Warn(key,
         absl::StrCat(
             Quoted(path),
             " is in a directory that others than root can "
             "write to (",
             Quoted(*writable),
             "): who can, decides which disk the silo has, and the silo does "
             "not start with a link or somebody else's file in its place. "
             "Better keep it where only root can write"));
  }

  // The first directory on the way that others than root can write to.
  std::optional<std::string> OthersDirectory(const std::string& path) {
    for (const std::string& directory : DirectoriesOf(path)) {
      const auto above = host_->Stat(directory);
      if (above.has_value() &&
          (above->owner != 0 || (above->mode & 0022) != 0)) {
        return directory;
      }
    }
    return std::nullopt;
  }

  static std::vector<std::string> DirectoriesOf(const std::string& path) {
    std::vector<std::string> directories;
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      directories.push_back(path.substr(0, slash));
    }
    return directories;
  }

  void CheckShare(const std::string& key,
                  const config::SharedDirectory& share) {
    const auto facts = host_->Stat(share.path);
    // A home is made from the template when the silo first starts.
    if (!facts.has_value() && share.is_home) return;
    if (facts.has_value() && facts->kind == Host::FileKind::kDirectory) return;
    Warn(share.is_home ? key + ".sharedHome"
                       : absl::StrCat(key, ".sharedDirectories.", share.tag),
         absl::StrCat(Quoted(share.path), facts.has_value()
                                              ? " is not a directory"
                                              : " is not there"));
  }

  const config::Config& config_;
  const Output& output_;
  Host* host_;
  std::vector<Warning> warnings_;
};

}  // namespace

std::optional<Host::FileFacts> RealHost::Stat(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  FileFacts facts;
  facts.mode = status.st_mode & 07777;
  facts.owner = status.st_uid;
  if (S_ISREG(status.st_mode)) facts.kind = FileKind::kRegular;
  if (S_ISDIR(status.st_mode)) facts.kind = FileKind::kDirectory;
  if (S_ISBLK(status.st_mode)) facts.kind = FileKind::kBlockDevice;
  return facts;
}

std::optional<std::string> RealHost::Read(const std::string& path) {
  absl::StatusOr<std::string> content = ReadFile(path, kMaxSetting);
  if (!content.ok()) return std::nullopt;
  return *std::move(content);
}

std::optional<std::string> RealHost::VersionText(const std::string& program) {
  absl::StatusOr<ChildResult> result =
      RunChild({program, "--version"}, "", kVersionTimeout, kMaxVersionText);
  if (!result.ok() || result->exit_status != 0) return std::nullopt;
  return std::move(result->out);
}

std::optional<config::Version> ParseVersionText(absl::string_view text) {
  for (size_t dot = text.find('.'); dot != absl::string_view::npos;
       dot = text.find('.', dot + 1)) {
    size_t begin = dot;
    while (begin > 0 && absl::ascii_isdigit(text[begin - 1])) --begin;
    size_t end = dot + 1;
    while (end < text.size() && absl::ascii_isdigit(text[end])) ++end;
    const auto major_number =
        ParseNumber<uint32_t>(text.substr(begin, dot - begin), 0, 1000000);
    const auto minor_number =
        ParseNumber<uint32_t>(text.substr(dot + 1, end - dot - 1), 0, 1000000);
    if (major_number.ok() && minor_number.ok()) {
      return config::Version{*major_number, *minor_number};
    }
  }
  return std::nullopt;
}

std::vector<Warning> CheckHost(const config::Config& config,
                               const Output& output, Host* host) {
  return Checks(config, output, host).Run();
}

std::vector<std::string> DescribeBoot(const config::Config& config) {
  std::vector<std::string> lines;
  for (const config::Vm& vm : config.vms) {
    const hypervisor::Boot boot = hypervisor::ResolveBoot(config, vm);
    std::string line = absl::StrCat("silo ", vm.name, " boots ");
    const auto image = hypervisor::ImageDirectory(config, vm);
    if (image.has_value()) {
      const config::Image* described = config.FindImage(*vm.image);
      absl::StrAppend(&line, "the image ", *vm.image, " (",
                      described == nullptr      ? "which has no image.toml"
                      : described->is_from_file ? "by its image.toml"
                                                : "by the configuration",
                      "): ");
    }
    absl::StrAppend(&line, "kernel ", Quoted(boot.kernel), ", ",
                    boot.initrd.has_value()
                        ? absl::StrCat("initrd ", Quoted(*boot.initrd))
                        : "no initrd");
    const bool has_root =
        !boot.disks.empty() &&
        boot.disks[0].role == hypervisor::BootDisk::Role::kRoot;
    if (has_root) {
      const config::Disk& root = boot.disks[0].disk;
      absl::StrAppend(&line, ", root disk ", Quoted(root.path), " (",
                      config::ToString(root.format), ")");
    } else {
      absl::StrAppend(&line, ", no root disk");
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> DescribeSupport(const config::Config& config,
                                         Host* host) {
  std::set<Hypervisor> used;
  for (const config::Vm& vm : config.vms) used.insert(vm.hypervisor);
  std::vector<std::string> lines;
  for (const Seen& seen : kSeen) {
    if (!used.contains(seen.hypervisor)) continue;
    if (!seen.has_releases) {
      lines.push_back(absl::StrCat(
          seen.title, ": has no releases; supported is ", seen.versions));
      continue;
    }
    const auto text = host->VersionText(ProgramOf(config, seen.hypervisor));
    const auto version =
        text.has_value() ? ParseVersionText(*text) : std::nullopt;
    std::string line(seen.title);
    if (version.has_value()) absl::StrAppend(&line, " ", Shown(*version));
    if (!version.has_value()) {
      absl::StrAppend(&line, ": not found; supported is ", seen.versions);
    } else if (Shown(*version) == seen.versions) {
      absl::StrAppend(&line, ": supported");
    } else {
      absl::StrAppend(&line, ": untested; seen to work is ", seen.versions);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace vmsilo::unitgen
