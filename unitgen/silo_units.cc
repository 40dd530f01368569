#include "unitgen/silo_units.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "balloon/vm_file.h"
#include "common/systemd_quote.h"
#include "config/layout.h"
#include "unitgen/features.h"
#include "unitgen/hardening.h"
#include "unitgen/host_units.h"
#include "vsock/ports.h"

namespace vmsilo::unitgen {
namespace {

using config::Hypervisor;

// Attached commands keep their connection. More than a person starts at once,
// few enough that a program in a loop costs the host nothing.
constexpr absl::string_view kMaxConnections = "256";

void AddSocket(const config::Vm& vm, Context* context) {
  Unit unit;
  unit.name = layout::SocketUnit(vm.name);
  unit.reason = absl::StrCat("takes commands for silo '", vm.name, "'");
  unit.keys = {VmKey(vm)};
  unit.In("Unit")
      .Add("Description", absl::StrCat("Commands for silo ", vm.name))
      .Add("Requires", layout::PrepUnit(vm.name))
      .Add("After", layout::PrepUnit(vm.name));
  unit.In("Socket")
      .Add("ListenStream", layout::CommandSocket(vm.name))
      .Add("Accept", "yes")
      .Add("SocketUser", context->config().user.name)
      .Add("SocketGroup", "root")
      .Add("SocketMode", "0600")
      .Add("RemoveOnStop", "yes")
      .Add("MaxConnections", kMaxConnections)
      // A burst of short commands is no reason to give up the socket.
      .Add("TriggerLimitIntervalSec", "0");
  unit.wanted_by = {"sockets.target"};
  context->Emit(std::move(unit));
}

void AddProxy(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  const std::string vm_unit = layout::VmUnit(vm.name);
  Unit unit;
  unit.name = layout::ProxyTemplate(vm.name);
  unit.reason =
      absl::StrCat("carries each command's connection to silo '", vm.name, "'");
  unit.keys = {VmKey(vm)};
  unit.In("Unit")
      .Add("Description", absl::StrCat("Command for silo ", vm.name, " (%I)"))
      .Add("BindsTo", vm_unit)
      .Add("After", vm_unit)
      // Ended connections leave nothing behind, failed ones neither.
      .Add("CollectMode", "inactive-or-failed");
  const std::string address =
      HasHybridVsock(vm)
          ? absl::StrCat("unix:", layout::VsockSocket(vm.name), ":",
                         vsock::kCommandPort)
          : absl::StrCat("vsock:", vm.cid, ":", vsock::kCommandPort);
  Section& service = unit.In("Service");
  service
      .Add("Type", "exec")
      // Not the hypervisor's, which could signal and trace it, nor systemd's
      // choice, which would be that one: the unit's name up to the '@'.
      .Add("User", layout::ProxyUser(vm.name));
  if (HasHybridVsock(vm)) {
    // The hypervisor's sockets are open to its group.
    service.Add("Group", layout::HypervisorUser(vm.name));
  }
  service.Add("DynamicUser", "yes")
      .Add("StandardInput", "socket")
      .Add("StandardOutput", "socket")
      .Add("StandardError", "journal")
      .Add("ExecStart",
           context->Exec(
               "", {config.paths.proxy, "--address", address, "--wait", "60s"},
               "paths.proxy"))
      .Add("TimeoutStopSec", "5s");
  Hardening hardening;
  if (HasHybridVsock(vm)) {
    service.Add("TemporaryFileSystem", "/run/vmsilo:ro")
        .Add("BindReadOnlyPaths", layout::RuntimeDir(vm.name));
  } else {
    service.Add("InaccessiblePaths", "-/run/vmsilo");
    hardening.address_families = "AF_UNIX AF_VSOCK";
    // The guest's agent listens to ports below 1024 only.
    hardening.capabilities = "CAP_NET_BIND_SERVICE";
    hardening.ambient_capabilities = "CAP_NET_BIND_SERVICE";
    hardening.has_private_users = false;
  }
  AddHardening(hardening, &unit);
  context->Emit(std::move(unit));
}

balloon::VmFile BalloonFileOf(const config::Config& config,
                              const config::Vm& vm) {
  return {.hypervisor = std::string(config::ToString(vm.hypervisor)),
          .unit = layout::VmUnit(vm.name),
          .memory = vm.memory,
          .guaranteed = vm.memory_guaranteed,
          .excluded = BalloonExclusion(config, vm)};
}

void AddPrep(const config::Vm& vm, Context* context) {
  const std::string root = layout::RuntimeDir(vm.name);
  Unit unit;
  unit.name = layout::PrepUnit(vm.name);
  unit.reason =
      absl::StrCat("makes the runtime directory of silo '", vm.name, "'");
  unit.keys = {VmKey(vm)};
  unit.In("Unit")
      .Add("Description", absl::StrCat("Runtime directory of silo ", vm.name))
      // With its default dependencies it would come after sockets.target,
      // which comes after the socket that needs it.
      .Add("DefaultDependencies", "no")
      .Add("After", "local-fs.target systemd-tmpfiles-setup.service")
      .Add("Conflicts", "shutdown.target")
      .Add("Before", "shutdown.target")
      // Those who pull it in have limits. One here would keep down a helper
      // that may restart.
      .Add("StartLimitIntervalSec", "0");
  if (context->mode().is_generator) {
    unit.In("Unit")
        .Add("Requires", kDirectoriesUnit)
        .Add("After", kDirectoriesUnit);
  }
  Section& service = unit.In("Service");
  service
      // Not RemainAfterExit=: whatever starts again makes it run again.
      .Add("Type", "oneshot")
      .Add("ExecStart",
           context->Exec(
               "", {context->config().paths.systemd_tmpfiles, "--create", "-"},
               "paths.systemdTmpfiles"))
      .Add("StandardInput", "data");
  auto line = [&](absl::string_view text) {
    service.Add("StandardInputText", QuoteInputText(text));
  };
  line("d /run/vmsilo 0755 root root -");
  line(absl::StrCat("d ", root, " 0755 root root -"));
  auto link = [&](const std::string& from, absl::string_view to) {
    line(absl::StrCat("L+ ", from, " - - - - ", to));
  };
  link(layout::ControlSocketLink(vm.name, vm.hypervisor),
       absl::StrCat("vm/", config::ToString(vm.hypervisor), "-control.socket"));
  if (HasConsoleRelay(vm)) link(layout::Console(vm.name), "console.d/pty");
  if (context->config().balloond.enable) {
    const std::string content =
        balloon::PrintVmFile(BalloonFileOf(context->config(), vm));
    line(absl::StrCat("f+ ", layout::BalloonFile(vm.name), " 0644 root root - ",
                      // JSON of ASCII can always be written.
                      *QuoteTmpfilesContent(content)));
  }
  if (!vm.shared_directories.empty()) {
    line(absl::StrCat("d ", root, "/virtiofs 0755 root root -"));
  }
  if (vm.hypervisor == Hypervisor::kCrosvm &&
      context->config().crosvm.sandbox) {
    line(absl::StrCat("d ", layout::EmptyDir(vm.name), " 0755 root root -"));
  }
  // The directory itself is not there yet.
  service.Add("ProtectSystem", "strict")
      .Add("ProtectHome", "yes")
      .Add("ReadWritePaths", "/run");
  AddTmpfilesHardening(&unit);
  context->Emit(std::move(unit));
}

}  // namespace

void AddSiloUnits(const config::Vm& vm, Context* context) {
  AddSocket(vm, context);
  AddPrep(vm, context);
  AddProxy(vm, context);
}

}  // namespace vmsilo::unitgen
