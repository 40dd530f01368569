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
#include "common/parse_number.h"
#include "config/config.h"
#include "hypervisor/boot.h"
#include "unitgen/child.h"
#include "unitgen/unit_file.h"

namespace vmsilo::unitgen {
namespace {

using config::Hypervisor;

// A program that only prints its version; a slow disk may have to be woken up.
constexpr absl::Duration kVersionTimeout = absl::Seconds(10);
constexpr size_t kMaxVersionText = 4096;

// Against what this release was run, in tests/: the released program as the
// distribution or the project ships it.
struct Seen {
  Hypervisor hypervisor;
  absl::string_view title;
  // "" if it was not.
  absl::string_view versions;
};
constexpr Seen kSeen[] = {
    {Hypervisor::kCrosvm, "crosvm", ""},
    {Hypervisor::kCloudHypervisor, "Cloud Hypervisor", ""},
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
    const hypervisor::Boot boot = hypervisor::ResolveBoot(config_, vm);
    CheckImage(key + ".kernel", boot.kernel);
    if (boot.initrd.has_value()) CheckImage(key + ".initrd", *boot.initrd);
    for (const hypervisor::BootDisk& disk : boot.disks) {
      const bool is_root = disk.role == hypervisor::BootDisk::Role::kRoot;
      if (disk.role == hypervisor::BootDisk::Role::kOverlay) continue;
      CheckDisk(key + (is_root ? ".rootDisk" : ".disks"), disk.disk);
    }
    for (const config::SharedDirectory& share : vm.shared_directories) {
      CheckShare(key, share);
    }
  }

  // Read by the hypervisor, which runs as a user of the silo's own.
  void CheckImage(const std::string& key, const std::string& path) {
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
      // A disk that is written is handed over at each start.
      if (disk.read_only) CheckReadable(key, disk.path, *facts);
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
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string directory = path.substr(0, slash);
      const auto above = host_->Stat(directory);
      if (above.has_value() && (above->mode & 0001) == 0) {
        Warn(key, absl::StrCat(Quoted(path),
                               " cannot be reached by the silo's hypervisor: ",
                               "chmod o+x ", Quoted(directory)));
        return;
      }
    }
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
  if (S_ISREG(status.st_mode)) facts.kind = FileKind::kRegular;
  if (S_ISDIR(status.st_mode)) facts.kind = FileKind::kDirectory;
  if (S_ISBLK(status.st_mode)) facts.kind = FileKind::kBlockDevice;
  return facts;
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

std::vector<std::string> DescribeSupport(const config::Config& config,
                                         Host* host) {
  std::set<Hypervisor> used;
  for (const config::Vm& vm : config.vms) used.insert(vm.hypervisor);
  std::vector<std::string> lines;
  for (const Seen& seen : kSeen) {
    if (!used.contains(seen.hypervisor)) continue;
    const auto text = host->VersionText(ProgramOf(config, seen.hypervisor));
    const auto version =
        text.has_value() ? ParseVersionText(*text) : std::nullopt;
    std::string line(seen.title);
    if (version.has_value()) absl::StrAppend(&line, " ", Shown(*version));
    if (seen.versions.empty()) {
      absl::StrAppend(&line, ": untested");
    } else if (!version.has_value()) {
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
