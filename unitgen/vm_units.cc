#include "unitgen/vm_units.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/systemd_quote.h"
#include "config/layout.h"
#include "hypervisor/boot.h"
#include "hypervisor/cloud_hypervisor/command_line.h"
#include "hypervisor/crosvm/command_line.h"
#include "hypervisor/qemu/command_line.h"
#include "unitgen/features.h"
#include "unitgen/hardening.h"
#include "unitgen/host_units.h"

namespace vmsilo::unitgen {
namespace {

using config::Hypervisor;

std::string Title(const config::Vm& vm) {
  if (!vm.description.has_value()) return absl::StrCat("Silo ", vm.name);
  return absl::StrCat("Silo ", vm.name, ": ",
                      DescriptionValue(*vm.description));
}

std::string HypervisorTitle(Hypervisor hypervisor) {
  switch (hypervisor) {
    case Hypervisor::kCrosvm:
      return "crosvm";
    case Hypervisor::kCloudHypervisor:
      return "Cloud Hypervisor";
    case Hypervisor::kQemu:
      return "QEMU";
  }
  return "";
}

std::vector<std::string> HypervisorCommandLine(const config::Config& config,
                                               const config::Vm& vm) {
  switch (vm.hypervisor) {
    case Hypervisor::kCrosvm:
      return hypervisor::crosvm::CommandLine(config, vm);
    case Hypervisor::kCloudHypervisor:
      return hypervisor::cloud_hypervisor::CommandLine(config, vm);
    case Hypervisor::kQemu:
      return hypervisor::qemu::CommandLine(config, vm);
  }
  return {};
}

absl::string_view ProgramKey(Hypervisor hypervisor) {
  switch (hypervisor) {
    case Hypervisor::kCrosvm:
      return "paths.crosvm";
    case Hypervisor::kCloudHypervisor:
      return "paths.cloudHypervisor";
    case Hypervisor::kQemu:
      return "paths.qemu";
  }
  return "paths";
}

bool IsBelow(absl::string_view path, absl::string_view directory) {
  return path == directory ||
         absl::StartsWith(path, absl::StrCat(directory, "/"));
}

// What the VM's service is made from, gathered over the parts of a silo.
class VmService {
 public:
  VmService(const config::Vm& vm, Context* context)
      : vm_(vm),
        context_(*context),
        config_(context->config()),
        boot_(hypervisor::ResolveBoot(config_, vm)) {}

  Unit Build() && {
    unit_.name = layout::VmUnit(vm_.name);
    unit_.reason = absl::StrCat("runs silo '", vm_.name, "' under ",
                                HypervisorTitle(vm_.hypervisor));
    unit_.keys = {VmKey(vm_), VmKey(vm_, "hypervisor")};
    Dependencies();
    // All sections first: a reference to one ends with the next.
    unit_.In("Service");
    if (vm_.auto_start && !vm_.gpu.has_value()) {
      unit_.keys.push_back(VmKey(vm_, "autoStart"));
      unit_.wanted_by = {"multi-user.target"};
    }
    Section& service = unit_.In("Service");
    Process(service);
    Before(service);
    service.Add("ExecStart",
                context_.Exec("", HypervisorCommandLine(config_, vm_),
                              ProgramKey(vm_.hypervisor)));
    After(service);
    Files(service);
    Devices(service);
    Confinement(service);
    return std::move(unit_);
  }

 private:
  void Dependencies() {
    const std::string prep = layout::PrepUnit(vm_.name);
    std::vector<std::string> requires_units = {prep};
    std::vector<std::string> binds;
    std::vector<std::string> wants;
    std::vector<std::string> after = {prep, "network.target"};
    if (HasConsoleRelay(vm_)) {
      // A silo can live without its console: a restart of the relay must not
      // become a restart of the VM.
      wants.push_back(layout::ConsoleRelayUnit(vm_.name));
      after.push_back(layout::ConsoleRelayUnit(vm_.name));
      if (ConsoleRelayListens(vm_)) {
        // Also where the relay cannot start.
        wants.push_back(layout::ConsoleSocketUnit(vm_.name));
        after.push_back(layout::ConsoleSocketUnit(vm_.name));
      }
    }
    if (HasGpu(vm_)) {
      binds.push_back(layout::GpuUnit(vm_.name));
      after.push_back(layout::GpuUnit(vm_.name));
    }
    if (hypervisor::HasSound(config_, vm_)) {
      // It must be there at the start, but a silo that goes silent lives on.
      requires_units.push_back(layout::SoundUnit(vm_.name));
      after.push_back(layout::SoundUnit(vm_.name));
    }
    for (const config::SharedDirectory& share : vm_.shared_directories) {
      // A guest that loses a file system hangs: better to stop in order.
      binds.push_back(layout::VirtiofsdUnit(vm_.name, share.tag));
      after.push_back(layout::VirtiofsdUnit(vm_.name, share.tag));
    }
    if (HasTray(vm_)) wants.push_back(layout::TrayUnit(vm_.name));
    if (HasUsbAttach(vm_)) wants.push_back(layout::UsbAttachUnit(vm_.name));
    auto other = [&](const std::string& unit) {
      wants.push_back(unit);
      after.push_back(unit);
    };
    for (const std::string& name : vm_.depends_on) other(layout::VmUnit(name));
    if (vm_.network.netvm.has_value() && *vm_.network.netvm != "host") {
      other(layout::VmUnit(*vm_.network.netvm));
    }
    for (const config::Interface& interface : vm_.network.interfaces) {
      other(NetworkDeviceUnit(interface.tap.name));
      if (interface.tap.bridge.has_value()) {
        other(NetworkDeviceUnit(*interface.tap.bridge));
      }
    }
    Section& unit = unit_.In("Unit");
    unit.Add("Description", absl::StrCat(Title(vm_), " (",
                                         HypervisorTitle(vm_.hypervisor), ")"))
        .AddList("Requires", requires_units)
        .AddList("BindsTo", binds)
        .AddList("Wants", wants)
        .AddList("After", after);
    BootFiles(unit);
  }

  void BootFiles(Section& unit) {
    const auto image = hypervisor::ImageDirectory(config_, vm_);
    std::vector<std::string> paths;
    auto add = [&](const std::string& path) {
      if (IsBelow(path, "/dev")) return;
      // All of an image is on one disk.
      const bool is_images = image.has_value() && IsBelow(path, *image);
      std::optional<std::string> quoted = QuotePath(is_images ? *image : path);
      // Where the list cannot hold a path, which the hypervisor's command line
      // can, mounts are as late as they were without it.
      if (quoted.has_value()) paths.push_back(*std::move(quoted));
    };
    add(boot_.kernel);
    if (boot_.initrd.has_value()) add(*boot_.initrd);
    for (const hypervisor::BootDisk& entry : boot_.disks) add(entry.disk.path);
    unit.AddList("RequiresMountsFor", paths);
    if (!image.has_value() || !context_.mode().is_generator ||
        config_.FindImage(*vm_.image) != nullptr) {
      return;
    }
    // Generators run before most mounts. What is made without the image's
    // description, because its disk is not there yet, must not boot if there
    // is one. This setting takes specifiers, but no quotes.
    unit.Add("AssertPathExists",
             absl::StrCat(
                 "!", absl::StrReplaceAll(layout::ImageDescription(
                                              config_.image_dir, *vm_.image),
                                          {{"%", "%%"}})));
  }

  void Process(Section& service) {
    service.Add("Type", "exec");
    if (HasOwnUser(config_, vm_)) {
      service.Add("User", layout::HypervisorUser(vm_.name))
          .Add("DynamicUser", "yes");
      std::vector<std::string> groups = {"kvm"};
      for (const hypervisor::BootDisk& entry : boot_.disks) {
        if (IsBelow(entry.disk.path, "/dev")) groups.push_back("disk");
      }
      service.AddList("SupplementaryGroups", groups);
    }
    const std::string directory =
        absl::StrCat(layout::RuntimeDirBelowRun(vm_.name), "/vm");
    service
        .Add("RuntimeDirectory",
             UserReachesConsole()
                 ? absl::StrCat(directory, " ", directory, "/console")
                 : directory)
        .Add("RuntimeDirectoryMode", "0710")
        // The group's bits are the mask of the access lists below.
        .Add("UMask", "0007");
  }

  // Whether the hypervisor makes what the console's relay connects to, or the
  // person reads.
  bool UserReachesConsole() const {
    return vm_.console.mode == config::ConsoleMode::kFile ||
           (HasConsoleRelay(vm_) && !ConsoleRelayListens(vm_));
  }

  // As root, before the hypervisor.
  void Before(Section& service) {
    const bool has_own_user = HasOwnUser(config_, vm_);
    if (UserReachesConsole()) {
      // The console and nothing else: who may speak to a control socket may
      // give the guest any file that the hypervisor can open.
      const std::string user = absl::StrCat("user:", config_.user.uid);
      const bool is_file = vm_.console.mode == config::ConsoleMode::kFile;
      service.Add("StandardInput", "data")
          .Add("StandardInputText",
               QuoteInputText(absl::StrCat("a+ ", layout::VmDir(vm_.name),
                                           " - - - - ", user, ":x")))
          .Add("StandardInputText",
               QuoteInputText(absl::StrCat(
                   "a+ ", layout::HypervisorConsoleDir(vm_.name), " - - - - ",
                   user, ":x,default:", user, is_file ? ":r" : ":rw")))
          .Add("ExecStartPre",
               context_.Exec("+",
                             {config_.paths.systemd_tmpfiles, "--create", "-"},
                             "paths.systemdTmpfiles"));
    } else {
      service.Add("StandardInput", "null");
    }
    const std::string user =
        has_own_user ? layout::HypervisorUser(vm_.name) : "0:0";
    // What the hypervisor opens, but root makes or others have.
    std::vector<std::string> give = {config_.paths.prepare, "give", "--to",
                                     user, "--"};
    const size_t fixed = give.size();
    for (const hypervisor::BootDisk& entry : boot_.disks) {
      if (entry.role == hypervisor::BootDisk::Role::kOverlay) {
        service.Add("ExecStartPre",
                    context_.Exec("+",
                                  {config_.paths.prepare, "overlay", "--path",
                                   entry.disk.path, "--size",
                                   absl::StrCat(vm_.root_overlay.size.count()),
                                   "--owner", user},
                                  "paths.prepare"));
      } else if (IsWritableFile(entry)) {
        give.push_back(entry.disk.path);
      }
    }
    // Back ends make their sockets for themselves alone; this hands them to
    // the one that connects.
    for (std::string& socket : BackendSockets(config_, vm_)) {
      give.push_back(std::move(socket));
    }
    if (!has_own_user) {
      CheckPaths(service);
    } else if (give.size() > fixed) {
      service.Add("ExecStartPre", context_.Exec("+", give, "paths.prepare"));
    }
    if (vm_.hypervisor == Hypervisor::kCrosvm) CheckRawDisks(service);
  }

  // crosvm goes by the first bytes of a disk, which the last guest may have
  // written. The overlay is fresh, and the root disk never written.
  void CheckRawDisks(Section& service) {
    for (const hypervisor::BootDisk& entry : boot_.disks) {
      if (entry.role != hypervisor::BootDisk::Role::kData ||
          entry.disk.read_only ||
          entry.disk.format != config::DiskFormat::kRaw) {
        continue;
      }
      service.Add("ExecStartPre",
                  context_.Exec("",
                                {config_.paths.prepare, "raw-disk", "--path",
                                 entry.disk.path},
                                "paths.prepare"));
    }
  }

  // A hypervisor that runs as root must not be led to root's files.
  void CheckPaths(Section& service) {
    std::vector<std::string> check = {config_.paths.prepare, "check-path", "--",
                                      boot_.kernel};
    if (boot_.initrd.has_value()) check.push_back(*boot_.initrd);
    for (const hypervisor::BootDisk& entry : boot_.disks) {
      if (entry.role == hypervisor::BootDisk::Role::kOverlay) continue;
      check.push_back(entry.disk.path);
    }
    service.Add("ExecStartPre", context_.Exec("", check, "paths.prepare"));
  }

  void After(Section& service) {
    const std::string control = layout::ControlSocket(vm_.name, vm_.hypervisor);
    std::vector<std::string> wait = {"--socket", control};
    if (vm_.hypervisor == Hypervisor::kCrosvm) {
      wait.insert(wait.end(), {"--type", "seqpacket"});
    }
    service
        .Add("ExecStartPost", WaitCommand(wait, &context_))
        // Asks the guest; what is left after that gets SIGTERM. Without
        // `--pid $MAINPID`, which would be empty, and an error, each time that
        // the guest has powered off by itself: the socket's peer is the
        // process, and only the silo's own user can make that socket.
        .Add("ExecStop",
             context_.Exec("-",
                           {config_.paths.prepare, "power-off", "--hypervisor",
                            std::string(config::ToString(vm_.hypervisor)),
                            "--control", control, "--timeout", "30s"},
                           "paths.prepare"));
    std::vector<std::string> remove = {config_.paths.rm, "-f", "--"};
    std::vector<std::string> take_back = {
        config_.paths.prepare, "take-back", "--from",
        layout::HypervisorUser(vm_.name), "--"};
    const size_t fixed = remove.size();
    const size_t fixed_back = take_back.size();
    for (const hypervisor::BootDisk& entry : boot_.disks) {
      if (entry.role == hypervisor::BootDisk::Role::kOverlay) {
        remove.push_back(entry.disk.path);
      } else if (IsWritableFile(entry) && HasOwnUser(config_, vm_)) {
        take_back.push_back(entry.disk.path);
      }
    }
    if (remove.size() > fixed) {
      service.Add("ExecStopPost", context_.Exec("+", remove, "paths.rm"));
    }
    if (take_back.size() > fixed_back) {
      service.Add("ExecStopPost",
                  context_.Exec("+", take_back, "paths.prepare"));
    }
    // Longer than power-off waits.
    service.Add("TimeoutStopSec", "45s").Add("KillMode", "mixed");
    if (vm_.hypervisor == Hypervisor::kCrosvm) {
      // crosvm ends when the guest reboots, and this makes it a reboot.
      service
          .Add("RestartForceExitStatus",
               absl::StrCat(hypervisor::crosvm::kExitGuestReset))
          .Add("SuccessExitStatus",
               absl::StrCat(hypervisor::crosvm::kExitGuestReset))
          .Add("RestartSec", "1s");
    }
  }

  // Regular files; devices have a group.
  bool IsWritableFile(const hypervisor::BootDisk& entry) const {
    if (IsBelow(entry.disk.path, "/dev")) return false;
    const bool is_root_snapshot =
        boot_.has_root_snapshot &&
        entry.role == hypervisor::BootDisk::Role::kRoot;
    return !entry.disk.read_only && !is_root_snapshot;
  }

  void Files(Section& service) {
    service.Add("TemporaryFileSystem", "/run/vmsilo:ro")
        .Add("BindPaths", layout::RuntimeDir(vm_.name));
    // The root commands above work there, too.
    std::vector<std::string> writable = {layout::RuntimeDir(vm_.name)};
    bool is_below_home = false;
    auto used = [&](absl::string_view path) {
      for (const absl::string_view home : {"/home", "/root", "/run/user"}) {
        if (IsBelow(path, home)) is_below_home = true;
      }
    };
    used(boot_.kernel);
    if (boot_.initrd.has_value()) used(*boot_.initrd);
    for (const std::string& argument : vm_.extra_args) {
      if (absl::StrContains(argument, "/home/")) is_below_home = true;
    }
    for (const hypervisor::BootDisk& entry : boot_.disks) {
      used(entry.disk.path);
      if (entry.role == hypervisor::BootDisk::Role::kOverlay) {
        writable.push_back(std::string(layout::kOverlayDir));
      } else if (IsWritableFile(entry)) {
        writable.push_back(context_.Path(entry.disk.path, VmKey(vm_, "disks")));
      }
    }
    service.AddList("ReadWritePaths", writable)
        .Add("ProtectSystem", "strict")
        .Add("ProtectHome", is_below_home ? "read-only" : "yes")
        .Add("PrivateTmp", "yes");
  }

  void Devices(Section& service) {
    service.Add("DevicePolicy", "closed").Add("DeviceAllow", "/dev/kvm rw");
    if (!HasHybridVsock(vm_)) service.Add("DeviceAllow", "/dev/vhost-vsock rw");
    if (!vm_.network.interfaces.empty()) {
      service.Add("DeviceAllow", "/dev/net/tun rw")
          .Add("DeviceAllow", "/dev/vhost-net rw");
    }
    if (!vm_.pci_devices.empty()) {
      service.Add("DeviceAllow", "char-vfio rw")
          .Add("DeviceAllow", "/dev/vfio/vfio rw")
          // Passed-through devices pin the whole of the guest's memory.
          .Add("LimitMEMLOCK", "infinity");
    }
    for (const hypervisor::BootDisk& entry : boot_.disks) {
      if (!IsBelow(entry.disk.path, "/dev")) continue;
      service.Add(
          "DeviceAllow",
          absl::StrCat(context_.Path(entry.disk.path, VmKey(vm_, "disks")),
                       entry.disk.read_only ? " r" : " rw"));
    }
  }

  void Confinement(Section& service) {
    service.Add("NoNewPrivileges", "yes")
        .Add("ProtectClock", "yes")
        .Add("ProtectHostname", "yes")
        .Add("ProtectKernelLogs", "yes")
        .Add("ProtectKernelModules", "yes")
        .Add("LockPersonality", "yes")
        .Add("RestrictRealtime", "yes")
        .Add("SystemCallArchitectures", "native")
        .Add("LimitNOFILE", "65536");
    const bool jails_itself =
        vm_.hypervisor == Hypervisor::kCrosvm && config_.crosvm.sandbox;
    if (!jails_itself) {
      service.Add("ProtectControlGroups", "yes")
          .Add("ProtectKernelTunables", "yes")
          .Add("ProtectProc", "invisible")
          .Add("RestrictNamespaces", "yes")
          .Add("RestrictSUIDSGID", "yes")
          .Add("SystemCallFilter", kServiceCalls)
          .Add("SystemCallErrorNumber", "EPERM");
    }
    if (vm_.hypervisor == Hypervisor::kCloudHypervisor) {
      // It would set 077, which takes the rights of the proxies' group, and
      // those of the person from the access list, of each socket that it
      // makes, at every boot of the guest. It does not look at the answer, and
      // UMask= stays as it is.
      service.Add("SystemCallFilter", "~umask");
    }
    if (HasOwnUser(config_, vm_)) service.Add("CapabilityBoundingSet", "");
    // More than these only if options of one's own ask for it.
    const bool is_plain = vm_.extra_args.empty() &&
                          config_.qemu.extra_args.empty() &&
                          config_.cloud_hypervisor.extra_args.empty() &&
                          config_.crosvm.extra_args.empty() &&
                          config_.crosvm.extra_run_args.empty();
    if (is_plain) {
      // AF_INET for the ioctls of network devices.
      service.Add("RestrictAddressFamilies",
                  "AF_UNIX AF_INET AF_NETLINK AF_VSOCK");
      // The host's network is no business of a hypervisor's. A TAP's frames
      // are no traffic of its sockets.
      service.Add("IPAddressDeny", "any");
      if (vm_.network.interfaces.empty()) service.Add("PrivateNetwork", "yes");
    }
  }

  const config::Vm& vm_;
  Context& context_;
  const config::Config& config_;
  const hypervisor::Boot boot_;
  Unit unit_;
};

}  // namespace

void AddVmUnits(const config::Vm& vm, Context* context) {
  context->Emit(VmService(vm, context).Build());
}

}  // namespace vmsilo::unitgen
