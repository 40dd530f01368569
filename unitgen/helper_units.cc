#include "unitgen/helper_units.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/parse_size.h"
#include "common/systemd_quote.h"
#include "config/layout.h"
#include "hypervisor/boot.h"
#include "hypervisor/crosvm/command_line.h"
#include "unitgen/features.h"
#include "unitgen/hardening.h"
#include "unitgen/host_units.h"
#include "unitgen/session_units.h"

namespace vmsilo::unitgen {
namespace {

// The head of a unit that the VM pulls in before it starts, and that has no
// life of its own.
Unit Backend(const config::Vm& vm, std::string name, const std::string& title,
             std::string reason, std::string key) {
  Unit unit;
  unit.name = std::move(name);
  unit.reason = std::move(reason);
  unit.keys = {std::move(key)};
  const std::string prep = layout::PrepUnit(vm.name);
  unit.In("Unit")
      .Add("Description", title)
      .Add("Requires", prep)
      .Add("After", prep)
      // It goes when the VM goes, however that ends.
      .Add("StopWhenUnneeded", "yes");
  return unit;
}

// For what the VM requires, and what ends with its connection: a VM that is
// restarted needs a new one, and would not start without. Restarted by hand it
// would take the VM with it.
void TieTo(const config::Vm& vm, Unit* unit) {
  unit->In("Unit")
      .Add("PartOf", layout::VmUnit(vm.name))
      .Add("RefuseManualStart", "yes");
}

// Holds back the VM until a back end listens. A connection would be the only
// one that it serves.
std::string WaitFor(const std::string& socket, Context* context) {
  return WaitCommand({"--socket", socket, "--without-connecting"}, context);
}

// What every helper may have, and the scrollback.
std::string ConsoleRelayMemory(const config::Console& console) {
  constexpr uint64_t kMiB = MiB(1).count();
  return absl::StrCat(128 + (console.scrollback.count() + kMiB - 1) / kMiB,
                      "M");
}

std::vector<std::string> ConsoleRelayCommandLine(const config::Config& config,
                                                 const config::Vm& vm) {
  const bool listens = ConsoleRelayListens(vm);
  std::vector<std::string> argv = {
      config.paths.console_relay, "--backend",
      listens ? layout::ConsoleBackendSocket(vm.name)
              : layout::HypervisorConsoleSocket(vm.name)};
  if (!listens) argv.emplace_back("--connect");
  argv.insert(argv.end(), {"--pty", layout::ConsolePty(vm.name), "--viewers",
                           layout::ConsoleViewersSocket(vm.name),
                           "--scrollback", FormatSize(vm.console.scrollback)});
  if (vm.console.log.has_value()) {
    const config::ConsoleLog& log = *vm.console.log;
    argv.insert(argv.end(), {"--log", layout::ConsoleLog(vm.name), "--log-size",
                             FormatSize(log.max_size), "--log-files",
                             absl::StrCat(log.max_backups)});
    if (log.timestamps) argv.emplace_back("--log-timestamps");
  }
  return argv;
}

// crosvm connects once and ends if nobody listens, and a silo can live without
// its console: so systemd listens, whatever becomes of the relay. The socket is
// root's until the VM's unit hands it over, in a directory of root's, and the
// relay gets nothing but the descriptor.
void AddConsoleSocket(const config::Vm& vm, Context* context) {
  Unit unit = Backend(
      vm, layout::ConsoleSocketUnit(vm.name),
      absl::StrCat("Console of silo ", vm.name, ", for its hypervisor"),
      absl::StrCat("takes the hypervisor's end of the console of silo '",
                   vm.name, "'"),
      VmKey(vm, "console"));
  unit.In("Socket")
      .Add("ListenStream", layout::ConsoleBackendSocket(vm.name))
      .Add("FileDescriptorName", "backend")
      .Add("SocketMode", "0600")
      .Add("RemoveOnStop", "yes")
      // The relay's own limit is the one that counts.
      .Add("TriggerLimitIntervalSec", "0");
  context->Emit(std::move(unit));
}

void AddConsoleRelay(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  Unit unit = Backend(
      vm, layout::ConsoleRelayUnit(vm.name),
      absl::StrCat("Console of silo ", vm.name),
      absl::StrCat("offers the console of silo '", vm.name, "' as a terminal"),
      VmKey(vm, "console"));
  Section& head = unit.In("Unit");
  if (ConsoleRelayListens(vm)) {
    AddConsoleSocket(vm, context);
    const std::string socket = layout::ConsoleSocketUnit(vm.name);
    head.Add("Requires", socket).Add("After", socket);
  }
  head.Add("StartLimitIntervalSec", "60s").Add("StartLimitBurst", "10");
  Section& service = unit.In("Service");
  // Ready when its sockets are there, which holds back the VM.
  service.Add("Type", "notify")
      .Add("User", config.user.name)
      .Add("RuntimeDirectory",
           absl::StrCat(layout::RuntimeDirBelowRun(vm.name), "/console.d"))
      .Add("RuntimeDirectoryMode", "0711")
      .Add("RuntimeDirectoryPreserve", "restart")
      .Add("ExecStart", context->Exec("", ConsoleRelayCommandLine(config, vm),
                                      "paths.consoleRelay"))
      // The VM only wants it, so this restarts nothing else. What it had, its
      // successor gets: the guest waits no longer than that.
      .Add("Restart", "on-failure")
      .Add("RestartSec", "100ms")
      .Add("FileDescriptorStoreMax", "16")
      .Add("RestartPreventExitStatus", "64 78")
      .Add("TimeoutStartSec", "15s")
      .Add("TimeoutStopSec", "5s")
      .Add("TemporaryFileSystem", "/run/vmsilo:ro")
      .Add("BindPaths", layout::RuntimeDir(vm.name));
  if (vm.console.log.has_value()) {
    // Only the last directory is the user's.
    service.Add("LogsDirectory", layout::ConsoleLogDirBelowLog(vm.name))
        .Add("LogsDirectoryMode", "0700");
  }
  Hardening hardening;
  const std::string memory = ConsoleRelayMemory(vm.console);
  hardening.memory_max = memory;
  AddHardening(hardening, &unit);
  context->Emit(std::move(unit));
}

absl::string_view OnOff(bool value) { return value ? "on" : "off"; }

// The guest's only user.
constexpr uint32_t kGuestId = 1000;
// All but the one that is none (chown(2)).
constexpr uint32_t kAllIds = 0xffffffff;

// Only root opens files by their handles, so there is nothing to prefer.
config::InodeFileHandles InodeFileHandlesOf(
    const config::SharedDirectory& share) {
  return share.run_as_root ? share.inode_file_handles
                           : config::InodeFileHandles::kNever;
}

std::vector<std::string> VirtiofsdCommandLine(
    const config::Config& config, const config::Vm& vm,
    const config::SharedDirectory& share) {
  std::vector<std::string> argv = {
      config.paths.virtiofsd,
      "--shared-dir",
      share.path,
      "--tag",
      share.tag,
      "--socket-path",
      layout::VirtiofsSocket(vm.name, share.tag),
      "--thread-pool-size",
      absl::StrCat(share.thread_pool_size),
      absl::StrCat("--inode-file-handles=",
                   config::ToString(InodeFileHandlesOf(share))),
      "--cache",
      std::string(config::ToString(share.cache)),
      "--log-level",
      share.log_level,
  };
  auto flag = [&](bool is_set, absl::string_view name) {
    if (is_set) argv.emplace_back(name);
  };
  flag(share.xattr, "--xattr");
  flag(share.posix_acl, "--posix-acl");
  flag(share.read_only, "--readonly");
  flag(share.allow_mmap, "--allow-mmap");
  flag(!share.enable_readdirplus, "--no-readdirplus");
  flag(share.writeback, "--writeback");
  flag(share.allow_direct_io, "--allow-direct-io");
  flag(share.killpriv_v2, "--killpriv-v2");
  flag(share.preserve_noatime, "--preserve-noatime");
  auto option = [&](absl::string_view name, const std::string& value) {
    argv.emplace_back(name);
    argv.push_back(value);
  };
  if (share.run_as_root) {
    // Nor can it get them, by the unit.
    argv.emplace_back("--modcaps=-mknod:-setfcap");
  }
  const auto ids = [&](absl::string_view kind, uint32_t id,
                       const std::optional<std::string>& map,
                       const std::vector<std::string>& translations) {
    const std::string map_option = absl::StrCat("--", kind, "-map");
    const std::string translate_option = absl::StrCat("--translate-", kind);
    if (map.has_value()) option(map_option, *map);
    for (const std::string& translation : translations) {
      option(translate_option, translation);
    }
    // Access control lists hold ids that are not translated.
    if (map.has_value() || !translations.empty() || share.posix_acl ||
        share.run_as_root) {
      return;
    }
    // In its own user namespace virtiofsd is root, and may drop what root has
    // there. Whoever the guest says that it is, is that one.
    option(map_option, absl::StrCat(":0:", id, ":1:"));
    option(translate_option, absl::StrCat("squash-guest:0:0:", kAllIds));
    option(translate_option, absl::StrCat("host:0:", kGuestId, ":1"));
  };
  ids("uid", config.user.uid, share.uid_map, share.translate_uid);
  ids("gid", config.user.gid, share.gid_map, share.translate_gid);
  return argv;
}

// As root it needs these for its own sandbox and for files of others; no
// devices and no files with capabilities are made.
constexpr absl::string_view kRootVirtiofsdCapabilities =
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID "
    "CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_ADMIN CAP_SYS_CHROOT";

void AddVirtiofsd(const config::Vm& vm, const config::SharedDirectory& share,
                  Context* context) {
  const config::Config& config = context->config();
  const std::string key =
      share.is_home ? VmKey(vm, "sharedHome")
                    : VmKey(vm, absl::StrCat("sharedDirectories.", share.tag));
  Unit unit = Backend(
      vm, layout::VirtiofsdUnit(vm.name, share.tag),
      absl::StrCat("Shared directory ", share.tag, " of silo ", vm.name),
      absl::StrCat("shares '", share.path, "' with silo '", vm.name, "'"), key);
  TieTo(vm, &unit);
  // A home is made when it is absent.
  const std::optional<std::string> plain = PlainValue(share.path);
  if (!share.is_home && plain.has_value()) {
    unit.In("Unit").Add("AssertPathIsDirectory", *plain);
  }
  Section& service = unit.In("Service");
  service
      .Add("Type", "exec")
      // What the guest may do there is what the user may do, wherever a link
      // of the user's leads.
      .AddIf(!share.run_as_root, "User", config.user.name)
      .Add("RuntimeDirectory", absl::StrCat(layout::RuntimeDirBelowRun(vm.name),
                                            "/virtiofs/", share.tag))
      .Add("RuntimeDirectoryMode", "0711");
  if (share.is_home) {
    service.Add(
        "ExecStartPre",
        context->Exec(
            "+",
            {config.paths.prepare, "home", "--template",
             std::string(layout::kHomeTemplate), "--path", share.path,
             "--owner", absl::StrCat(config.user.uid, ":", config.user.gid)},
            "paths.prepare"));
  }
  if (share.run_as_root) {
    service.Add("ExecStartPre",
                context->Exec(
                    "", {config.paths.prepare, "check-path", "--", share.path},
                    "paths.prepare"));
  }
  service
      .Add("ExecStart",
           context->Exec("", VirtiofsdCommandLine(config, vm, share),
                         "paths.virtiofsd"))
      .Add("ExecStartPost",
           WaitFor(layout::VirtiofsSocket(vm.name, share.tag), context))
      .Add("TimeoutStopSec", "10s")
      .Add("UMask", "0077")
      .Add("CapabilityBoundingSet",
           share.run_as_root ? kRootVirtiofsdCapabilities : "")
      .Add("NoNewPrivileges", "yes")
      // The guest chooses modes.
      .Add("RestrictSUIDSGID", "yes")
      // Its own sandbox needs these. Nothing may cover a part of /proc: where
      // it is not root it could not mount its own.
      .Add("RestrictNamespaces",
           share.run_as_root ? "mnt pid net" : "user mnt pid net")
      .Add("TemporaryFileSystem", "/run/vmsilo:ro")
      .Add("BindPaths", layout::RuntimeDir(vm.name))
      .Add("DevicePolicy", "closed")
      .Add("PrivateIPC", "yes")
      .Add("PrivateNetwork", "yes")
      .Add("ProtectClock", "yes")
      .AddIf(share.run_as_root, "ProtectHostname", "yes")
      .AddIf(share.run_as_root, "ProtectKernelLogs", "yes")
      .Add("ProtectKernelModules", "yes")
      .Add("LockPersonality", "yes")
      .Add("RestrictAddressFamilies", "AF_UNIX")
      .Add("RestrictRealtime", "yes")
      .Add("SystemCallArchitectures", "native")
      // One file of the guest is one of these, or two.
      .Add("LimitNOFILE", "1048576");
  context->Emit(std::move(unit));
}

void AddSound(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  Unit unit = Backend(vm, layout::SoundUnit(vm.name),
                      absl::StrCat("Sound of silo ", vm.name),
                      absl::StrCat("plays or records for silo '", vm.name,
                                   "' (playback ", OnOff(vm.sound.playback),
                                   ", capture ", OnOff(vm.sound.capture), ")"),
                      VmKey(vm, "sound"));
  TieTo(vm, &unit);
  std::string streams;
  if (vm.sound.capture) streams = "input";
  if (vm.sound.playback) {
    absl::StrAppend(&streams, streams.empty() ? "" : ",", "output");
  }
  const std::string socket = layout::SoundSocket(vm.name);
  Section& service = unit.In("Service");
  service.Add("Type", "exec")
      .Add("ExecStart",
           context->Exec("",
                         {config.paths.sound, "--socket", socket, "--backend",
                          "pipewire", "--streams", streams},
                         "paths.sound"))
      .Add("ExecStartPost", WaitFor(socket, context))
      // No Restart=: a hypervisor does not connect a second time, and the VM
      // requires this unit, so that its restart would be the VM's.
      .Add("TimeoutStopSec", "5s")
      .Add("RuntimeDirectory",
           absl::StrCat(layout::RuntimeDirBelowRun(vm.name), "/sound"))
      .Add("RuntimeDirectoryMode", "0711");
  Hardening hardening;
  // The guest's memory is mapped, and counts.
  hardening.memory_max = "infinity";
  hardening.tasks_max = "64";
  AddSessionAccess(vm, hardening, context, &unit);
  context->Emit(std::move(unit));
}

// What Mesa needs, kcmp and io_uring too, is all in here; the program that
// waits for the back end's socket filters its own calls.
constexpr absl::string_view kGpuCalls = kServiceCalls;

void AddGpu(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  Unit unit = Backend(
      vm, layout::GpuUnit(vm.name), absl::StrCat("GPU of silo ", vm.name),
      absl::StrCat("draws for silo '", vm.name, "'"), VmKey(vm, "gpu"));
  TieTo(vm, &unit);
  Section& head = unit.In("Unit");
  if (HasWaylandSeccontext(vm)) {
    const std::string wayland = layout::WaylandSeccontextUnit(vm.name);
    // Only wanted, so that its restart is not the VM's; but without its socket
    // there is nothing to draw to.
    head.Add("Wants", wayland)
        .Add("After", wayland)
        .Add("AssertPathExists", layout::WaylandSocket(vm.name));
  }
  head.Add("Wants", "modprobe@udmabuf.service")
      .Add("After", "modprobe@udmabuf.service");
  const std::string socket = layout::GpuSocket(vm.name);
  const std::string below = layout::RuntimeDirBelowRun(vm.name);
  Section& service = unit.In("Service");
  service.Add("Type", "exec")
      .Add("User", config.user.name)
      .Add("SupplementaryGroups", "kvm render")
      .Add("RuntimeDirectory",
           absl::StrCat(below, "/gpu ", below, "/gpu/shader-cache"))
      .Add("RuntimeDirectoryMode", "0711")
      .Add("UMask", "0077");
  const std::string cache = layout::GpuShaderCache(vm.name);
  for (const auto& [name, value] :
       std::vector<std::pair<absl::string_view, std::string>>{
           {"MESA_SHADER_CACHE_DIR", cache},
           {"MESA_SHADER_CACHE_MAX_SIZE", "256M"},
           {"__GL_SHADER_DISK_CACHE_PATH", cache},
           {"__GL_SHADER_DISK_CACHE_SIZE", "268435456"}}) {
    service.Add("Environment",
                context->Environment(name, value, VmKey(vm, "gpu")));
  }
  service
      .Add("ExecStart",
           context->Exec("", hypervisor::crosvm::GpuCommandLine(config, vm),
                         "paths.crosvm"))
      .Add("ExecStartPost", WaitFor(socket, context))
      .Add("TimeoutStopSec", "5s")
      // An empty root, and in it only what drivers need.
      .Add("TemporaryFileSystem", "/:ro")
      .Add("BindReadOnlyPaths",
           "/usr -/bin -/lib -/lib32 -/lib64 -/etc/ld.so.cache "
           "-/etc/ld.so.conf -/etc/ld.so.conf.d -/etc/alternatives "
           "-/etc/vulkan -/etc/glvnd -/etc/drirc -/etc/passwd -/etc/group "
           "-/etc/nsswitch.conf /sys/dev/char /sys/devices -/sys/bus/pci "
           "-/sys/class/drm");
  for (const std::string& program :
       {config.paths.crosvm, config.paths.prepare}) {
    if (absl::StartsWith(program, "/usr/")) continue;
    service.Add("BindReadOnlyPaths", context->Path(program, "paths"));
  }
  service.Add("BindPaths", "-/dev/dri -/dev/udmabuf")
      .Add("BindPaths", layout::RuntimeDir(vm.name))
      .Add("MountAPIVFS", "yes")
      .Add("PrivateDevices", "yes")
      .Add("DevicePolicy", "closed")
      .Add("DeviceAllow", "char-drm rw")
      .Add("DeviceAllow", "/dev/udmabuf rw")
      .Add("CapabilityBoundingSet", "")
      .Add("NoNewPrivileges", "yes")
      .Add("PrivateNetwork", "yes")
      .Add("PrivateIPC", "yes")
      .Add("ProtectClock", "yes")
      .Add("ProtectControlGroups", "yes")
      .Add("ProtectHostname", "yes")
      .Add("ProtectKernelLogs", "yes")
      .Add("ProtectKernelModules", "yes")
      .Add("ProtectKernelTunables", "yes")
      .Add("LockPersonality", "yes")
      .AddIf(!vm.gpu->allow_wx, "MemoryDenyWriteExecute", "yes")
      .Add("RestrictAddressFamilies", "AF_UNIX AF_NETLINK")
      .Add("RestrictNamespaces", "yes")
      .Add("RestrictSUIDSGID", "yes")
      .Add("SystemCallArchitectures", "native");
  switch (vm.gpu->seccomp_policy) {
    case config::SeccompPolicy::kEnforcing:
      // Not EPERM: libraries that try a newer call first then try the older.
      service.Add("SystemCallFilter", kGpuCalls)
          .Add("SystemCallErrorNumber", "ENOSYS");
      break;
    case config::SeccompPolicy::kLog:
      service.Add("SystemCallLog", absl::StrCat("~", kGpuCalls));
      break;
    case config::SeccompPolicy::kOff:
      break;
  }
  context->Emit(std::move(unit));
}

void AddUsbAttach(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  const std::string vm_unit = layout::VmUnit(vm.name);
  Unit unit;
  unit.name = layout::UsbAttachUnit(vm.name);
  unit.reason = absl::StrCat("gives USB devices to silo '", vm.name, "'");
  unit.keys = {VmKey(vm, "usbDevices")};
  unit.In("Unit")
      .Add("Description", absl::StrCat("USB devices of silo ", vm.name))
      .Add("BindsTo", vm_unit)
      .Add("After", vm_unit)
      .Add("StartLimitIntervalSec", "60s")
      .Add("StartLimitBurst", "10");
  unit.In("Service")
      .Add("Type", "notify")
      .Add("ExecStart",
           context->Exec("", {config.paths.usb, "persist", vm.name},
                         "paths.usb"))
      // The VM only wants it.
      .Add("Restart", "on-failure")
      .Add("RestartSec", "2s")
      .Add("RestartPreventExitStatus", "64 78")
      .Add("TimeoutStopSec", "10s");
  AddUsbAccess(&unit);
  context->Emit(std::move(unit));
}

}  // namespace

void AddHelperUnits(const config::Vm& vm, Context* context) {
  if (HasConsoleRelay(vm)) AddConsoleRelay(vm, context);
  for (const config::SharedDirectory& share : vm.shared_directories) {
    AddVirtiofsd(vm, share, context);
  }
  if (hypervisor::HasSound(context->config(), vm)) AddSound(vm, context);
  if (HasGpu(vm)) AddGpu(vm, context);
  if (HasUsbAttach(vm)) AddUsbAttach(vm, context);
}

}  // namespace vmsilo::unitgen
