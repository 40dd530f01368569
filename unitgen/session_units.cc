#include "unitgen/session_units.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/layout.h"
#include "unitgen/features.h"

namespace vmsilo::unitgen {
namespace {

void AddWaylandSeccontext(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  const std::string prep = layout::PrepUnit(vm.name);
  const std::string socket = layout::WaylandSocket(vm.name);
  Unit unit;
  unit.name = layout::WaylandSeccontextUnit(vm.name);
  unit.reason =
      absl::StrCat("labels the windows of silo '", vm.name, "' as its own");
  unit.keys = {VmKey(vm, "gpu")};
  unit.In("Unit")
      .Add("Description", absl::StrCat("Wayland socket of silo ", vm.name))
      .Add("Requires", prep)
      .Add("After", prep)
      .Add("StopWhenUnneeded", "yes")
      .Add("StartLimitIntervalSec", "60s")
      .Add("StartLimitBurst", "10");
  unit.In("Service")
      .Add("Type", "exec")
      .Add("ExecStart",
           context->Exec(
               "",
               {config.paths.wayland_seccontext, "--wayland-socket",
                absl::StrCat(layout::UserRuntimeDir(config.user), "/",
                             config.host.wayland_display),
                "--app-id", absl::StrCat("vmsilo:", vm.name, ":", vm.color),
                "--socket-path", socket},
               "paths.waylandSeccontext"))
      .Add("ExecStartPost",
           WaitCommand({"--socket", socket, "--without-connecting"}, context))
      // The GPU only wants it, and connects anew for each window.
      .Add("Restart", "on-failure")
      .Add("RestartSec", "1s")
      .Add("RestartPreventExitStatus", "64 69 78")
      .Add("TimeoutStopSec", "5s")
      .Add("RuntimeDirectory",
           absl::StrCat(layout::RuntimeDirBelowRun(vm.name), "/wayland"))
      .Add("RuntimeDirectoryMode", "0700")
      .Add("RuntimeDirectoryPreserve", "restart");
  AddSessionAccess(vm, Hardening(), context, &unit);
  context->Emit(std::move(unit));
}

void AddTray(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  const std::string vm_unit = layout::VmUnit(vm.name);
  Unit unit;
  unit.name = layout::TrayUnit(vm.name);
  unit.reason = absl::StrCat("shows the tray icons of silo '", vm.name, "'");
  unit.keys = {VmKey(vm, "tray"), "tray"};
  unit.In("Unit")
      .Add("Description", absl::StrCat("Tray icons of silo ", vm.name))
      .Add("BindsTo", vm_unit)
      .Add("After", vm_unit)
      .Add("StartLimitIntervalSec", "60s")
      .Add("StartLimitBurst", "10");
  std::vector<std::string> argv = {config.paths.tray_host, "--vm-name", vm.name,
                                   "--cid", absl::StrCat(vm.cid)};
  if (config.tray.icon_theme.has_value()) {
    argv.insert(argv.end(), {"--icon-theme", *config.tray.icon_theme});
  }
  argv.insert(argv.end(),
              {"--color", vm.color, "--log-level", config.tray.log_level});
  const std::string& home = config.user.home;
  Section& service = unit.In("Service");
  service.Add("Type", "exec")
      .Add("Environment",
           context->Environment(
               "DBUS_SESSION_BUS_ADDRESS",
               absl::StrCat("unix:path=", layout::UserRuntimeDir(config.user),
                            "/bus"),
               "user"))
      .Add(
          "Environment",
          context->Environment(
              "XDG_CONFIG_DIRS",
              absl::StrCat(home, "/.config/kdedefaults:/etc/xdg"), "host.home"))
      .Add("ExecStart", context->Exec("", argv, "paths.trayHost"))
      .Add("Restart", "on-failure")
      .Add("RestartSec", "2s")
      .Add("RestartPreventExitStatus", "64 78")
      .Add("TimeoutStopSec", "5s");
  // Icon themes and the colour scheme, read-only.
  for (const absl::string_view below :
       {"/.config/kdeglobals", "/.config/kdedefaults", "/.local/share/icons",
        "/.icons"}) {
    service.Add("BindReadOnlyPaths",
                absl::StrCat("-", context->Path(absl::StrCat(home, below),
                                                "host.home")));
  }
  Hardening hardening;
  hardening.address_families = "AF_UNIX AF_VSOCK";
  // The guest's half listens to ports below 1024 only.
  hardening.capabilities = "CAP_NET_BIND_SERVICE";
  hardening.ambient_capabilities = "CAP_NET_BIND_SERVICE";
  hardening.has_private_users = false;
  AddSessionAccess(vm, hardening, context, &unit);
  context->Emit(std::move(unit));
}

void AddSessionBind(const config::Vm& vm, Context* context) {
  const config::Config& config = context->config();
  const std::string vm_unit = layout::VmUnit(vm.name);
  Unit unit;
  unit.name = layout::SessionBindUnit(vm.name);
  unit.manager = Unit::Manager::kUser;
  unit.reason = absl::StrCat(vm.auto_start ? "starts and stops" : "stops",
                             " silo '", vm.name, "' with the session");
  unit.keys = {VmKey(vm, "gpu"), VmKey(vm, "autoStart")};
  unit.In("Unit")
      .Add("Description",
           absl::StrCat(vm.auto_start ? "Start and stop" : "Stop", " silo ",
                        vm.name, " with the session"))
      // User units are every user's.
      .Add("ConditionUser", config.user.name)
      // Not BindsTo=, which would make the target needed: it stops when nothing
      // needs it any more.
      .Add("PartOf", "graphical-session.target")
      .Add("After", "graphical-session.target");
  Section& service = unit.In("Service");
  service.Add("Type", "oneshot").Add("RemainAfterExit", "yes");
  if (vm.auto_start) {
    // A start that fails, or takes too long, must not cost the stop at the end.
    service.Add("ExecStart", context->Exec("-",
                                           {config.paths.systemctl, "start",
                                            "--no-block", vm_unit},
                                           "paths.systemctl"));
  }
  service
      .Add("ExecStop",
           context->Exec("-", {config.paths.systemctl, "stop", vm_unit},
                         "paths.systemctl"))
      .Add("TimeoutStopSec", "60s");
  unit.wanted_by = {"graphical-session.target"};
  context->Emit(std::move(unit));
}

}  // namespace

void AddSessionAccess(const config::Vm& vm, Hardening hardening,
                      Context* context, Unit* unit) {
  const config::User& user = context->config().user;
  const std::string directory = layout::UserRuntimeDir(user);
  const std::string directory_unit =
      absl::StrCat("user-runtime-dir@", user.uid, ".service");
  // Also before the person has logged in.
  unit->In("Unit").Add("Requires", directory_unit).Add("After", directory_unit);
  unit->In("Service")
      .Add("User", user.name)
      .Add("Environment",
           context->Environment("XDG_RUNTIME_DIR", directory, "user"))
      .Add("TemporaryFileSystem", "/run/vmsilo:ro")
      .Add("BindPaths", layout::RuntimeDir(vm.name))
      .Add("BindReadOnlyPaths", directory);
  hardening.protect_home = "tmpfs";
  AddHardening(hardening, unit);
}

void AddSessionUnits(const config::Vm& vm, Context* context) {
  if (HasWaylandSeccontext(vm)) AddWaylandSeccontext(vm, context);
  if (HasTray(vm)) AddTray(vm, context);
  // A generator cannot write units of the user's manager.
  if (HasGpu(vm) && !context->mode().is_generator) AddSessionBind(vm, context);
}

}  // namespace vmsilo::unitgen
