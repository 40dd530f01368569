#include "unitgen/host_units.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/parse_size.h"
#include "common/systemd_quote.h"
#include "config/layout.h"
#include "unitgen/features.h"
#include "unitgen/hardening.h"
#include "unitgen/tmpfiles.h"

namespace vmsilo::unitgen {
namespace {

// The shortest text that reads back as the same number.
std::string Number(double value) {
  char buffer[32];
  const std::to_chars_result result =
      std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

// MemoryMax=, all of which may be locked: it must not be paged out when memory
// is short.
constexpr absl::string_view kBalloondMemory = "128M";

void AddBalloond(Context* context) {
  const config::Config& config = context->config();
  const config::Balloond& balloond = config.balloond;
  if (!balloond.enable) return;
  Unit unit;
  unit.name = std::string(layout::kBalloondUnit);
  unit.reason = "moves memory between the host and its silos";
  unit.keys = {"balloond"};
  unit.In("Unit")
      .Add("Description", "Memory balance between host and silos")
      .Add("Wants", "systemd-tmpfiles-setup.service")
      .Add("After", "systemd-tmpfiles-setup.service")
      .Add("StartLimitIntervalSec", "60s")
      .Add("StartLimitBurst", "5");
  std::vector<std::string> argv = {
      config.paths.balloond,
      "--log-level",
      balloond.log_level,
      "--policy",
      balloond.policy,
      "--poll-interval",
      absl::FormatDuration(balloond.poll_interval),
      "--calm-interval",
      absl::FormatDuration(balloond.calm_interval),
      "--critical-host-percent",
      Number(balloond.critical_host_percent),
      "--critical-guest-available",
      FormatSize(balloond.critical_guest_available),
      "--guest-available-bias",
      FormatSize(balloond.guest_available_bias),
      "--min-poll-interval",
      absl::FormatDuration(balloond.min_poll_interval),
      "--psi-ceiling",
      Number(balloond.psi_ceiling),
      "--owner",
      absl::StrCat(config.user.uid),
  };
  if (balloond.metrics_file.has_value()) {
    argv.insert(argv.end(), {"--metrics-file", *balloond.metrics_file});
  }
  argv.insert(argv.end(), balloond.extra_args.begin(),
              balloond.extra_args.end());
  Section& service = unit.In("Service");
  service.Add("Type", "notify")
      .Add("ExecStart", context->Exec("", argv, "paths.balloond"))
      // In systemd's own rights: the unit itself may not speak to it.
      .Add("ExecReload",
           context->Exec("+",
                         {config.paths.systemctl, "kill", "--kill-whom=main",
                          "--signal=HUP", std::string(layout::kBalloondUnit)},
                         "paths.systemctl"))
      .Add("Restart", "on-failure")
      .Add("RestartSec", "1s")
      .Add("RestartPreventExitStatus", "64 78")
      .Add("TimeoutStartSec", "15s")
      .Add("TimeoutStopSec", "5s")
      .Add("RuntimeDirectory", "vmsilo/.balloond")
      .Add("RuntimeDirectoryPreserve", "restart")
      // The host is short of memory when this is needed most.
      .Add("OOMScoreAdjust", "-900")
      .Add("LimitMEMLOCK", kBalloondMemory);
  if (balloond.metrics_file.has_value()) {
    // Others make the directory, perhaps later.
    service.Add(
        "ReadWritePaths",
        absl::StrCat("-",
                     context->Path(SplitPath(*balloond.metrics_file).directory,
                                   "balloond.metricsFile")));
  }
  Hardening hardening;
  // Control sockets belong to each hypervisor's own user. The other two go
  // before the first byte of a guest: its own socket is given to the person,
  // and the kernel asked to tell of memory pressure within half a second.
  hardening.capabilities = "CAP_DAC_OVERRIDE CAP_CHOWN CAP_SYS_RESOURCE";
  hardening.has_private_users = false;
  hardening.has_small_proc = false;  // /proc/pressure, /proc/meminfo.
  hardening.memory_max = kBalloondMemory;
  AddHardening(hardening, &unit);
  // By which it gives them up.
  service.Add("SystemCallFilter", "capset @chown");
  unit.wanted_by = {"multi-user.target"};
  context->Emit(std::move(unit));
}

void AddUsbTemplate(absl::string_view name, absl::string_view verb,
                    Context* context) {
  const config::Config& config = context->config();
  Unit unit;
  unit.name = std::string(name);
  unit.reason =
      absl::StrCat("lets an administrator ", verb, " USB devices by unit name");
  unit.keys = {"vms"};
  unit.In("Unit")
      .Add("Description", absl::StrCat("USB ", verb, " %I"))
      .Add("CollectMode", "inactive-or-failed");
  unit.In("Service")
      .Add("Type", "oneshot")
      // %I is the instance, unescaped: SILO:PORTPATH. Words are made before
      // specifiers are filled in, so it stays one argument.
      .Add("ExecStart",
           absl::StrCat(context->Exec("", {config.paths.usb, std::string(verb)},
                                      "paths.usb"),
                        " -- %I"))
      .Add("TimeoutStartSec", "60s");
  AddUsbAccess(&unit);
  context->Emit(std::move(unit));
}

void AddDirectories(Context* context) {
  Unit unit;
  unit.name = std::string(kDirectoriesUnit);
  unit.reason = "makes the directories that all silos share";
  unit.keys = {"vms"};
  unit.In("Unit")
      .Add("Description", "Directories of all silos")
      .Add("DefaultDependencies", "no")
      .Add("After", "local-fs.target systemd-tmpfiles-setup.service")
      .Add("Conflicts", "shutdown.target")
      .Add("Before", "shutdown.target");
  Section& service = unit.In("Service");
  service.Add("Type", "oneshot")
      .Add("ExecStart", context->Exec("",
                                      {context->config().paths.systemd_tmpfiles,
                                       "--remove", "--create", "-"},
                                      "paths.systemdTmpfiles"))
      .Add("StandardInput", "data");
  std::vector<std::string> lines = TmpfilesLines(context);
  // A mistake in the configuration, and a reload, must not take ExecStop= from
  // silos that run.
  lines.push_back(absl::StrCat("R ", kKeptUnits));
  lines.push_back(
      absl::StrCat("C ", kKeptUnits, " - - - - /run/systemd/generator"));
  for (const std::string& line : lines) {
    service.Add("StandardInputText", QuoteInputText(line));
  }
  AddTmpfilesHardening(&unit);
  context->Emit(std::move(unit));
}

}  // namespace

std::string NetworkDeviceUnit(absl::string_view interface) {
  return absl::StrCat(
      EscapeUnitPath(absl::StrCat("/sys/subsystem/net/devices/", interface)),
      ".device");
}

void AddTmpfilesHardening(Unit* unit) {
  unit->In("Service")
      .Add("NoNewPrivileges", "yes")
      .Add("CapabilityBoundingSet",
           "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID")
      .Add("DevicePolicy", "closed")
      .Add("PrivateNetwork", "yes")
      .Add("ProtectClock", "yes")
      .Add("ProtectControlGroups", "yes")
      .Add("ProtectHostname", "yes")
      .Add("ProtectKernelLogs", "yes")
      .Add("ProtectKernelModules", "yes")
      .Add("ProtectKernelTunables", "yes")
      .Add("LockPersonality", "yes")
      .Add("MemoryDenyWriteExecute", "yes")
      .Add("RestrictAddressFamilies", "AF_UNIX")
      .Add("RestrictNamespaces", "yes")
      .Add("RestrictRealtime", "yes")
      .Add("RestrictSUIDSGID", "yes")
      .Add("SystemCallArchitectures", "native")
      .Add("SystemCallFilter", "@system-service")
      .Add("SystemCallErrorNumber", "EPERM");
}

void AddUsbAccess(Unit* unit) {
  Section& service = unit->In("Service");
  service
      .Add("RuntimeDirectory", "vmsilo/.usb")
      // Shared by every unit that hands devices over: none may remove it.
      .Add("RuntimeDirectoryPreserve", "yes")
      .Add("DeviceAllow", "char-usb_device rw");
  Hardening hardening;
  // Control sockets belong to each hypervisor's own user.
  hardening.capabilities = "CAP_DAC_OVERRIDE";
  hardening.address_families = "AF_UNIX AF_NETLINK";
  hardening.has_private_users = false;
  hardening.has_private_network = false;
  hardening.has_private_devices = false;
  AddHardening(hardening, unit);
}

void AddHostUnits(Context* context) {
  const std::vector<config::Vm>& vms = context->config().vms;
  if (vms.empty()) return;
  if (context->mode().is_generator) AddDirectories(context);
  AddBalloond(context);
  if (std::any_of(vms.begin(), vms.end(), HasUsbAttach)) {
    AddUsbTemplate(layout::kUsbAttachTemplate, "attach", context);
    AddUsbTemplate(layout::kUsbDetachTemplate, "detach", context);
  }
}

}  // namespace vmsilo::unitgen
