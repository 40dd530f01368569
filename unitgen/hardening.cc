#include "unitgen/hardening.h"

namespace vmsilo::unitgen {

namespace {

// What no program of ours needs.
constexpr absl::string_view kAlways =
    "UMask=0077\n"
    "NoNewPrivileges=yes\n"
    "ProtectSystem=strict\n"
    "PrivateTmp=yes\n"
    "PrivateIPC=yes\n"
    "IPAddressDeny=any\n"
    "DevicePolicy=closed\n"
    "ProtectClock=yes\n"
    "ProtectControlGroups=yes\n"
    "ProtectHostname=yes\n"
    "ProtectKernelLogs=yes\n"
    "ProtectKernelModules=yes\n"
    "ProtectKernelTunables=yes\n"
    "LockPersonality=yes\n"
    "MemoryDenyWriteExecute=yes\n"
    "RestrictNamespaces=yes\n"
    "RestrictRealtime=yes\n"
    "RestrictSUIDSGID=yes\n"
    "SystemCallArchitectures=native\n";

}  // namespace

void AddHardening(const Hardening& hardening, Unit* unit) {
  unit->In("Service")
      .AddLines(kAlways)
      .Add("CapabilityBoundingSet", hardening.capabilities)
      .AddIf(!hardening.ambient_capabilities.empty(), "AmbientCapabilities",
             hardening.ambient_capabilities)
      .Add("ProtectHome", hardening.protect_home)
      .AddIf(hardening.has_private_devices, "PrivateDevices", "yes")
      .AddIf(hardening.has_private_network, "PrivateNetwork", "yes")
      .AddIf(hardening.has_private_users, "PrivateUsers", "yes")
      .Add("ProtectProc", hardening.has_small_proc ? "invisible" : "default")
      .AddIf(hardening.has_small_proc, "ProcSubset", "pid")
      .Add("RestrictAddressFamilies", hardening.address_families)
      .Add("SystemCallFilter", kServiceCalls)
      .Add("SystemCallFilter", "~@privileged @resources")
      .Add("SystemCallErrorNumber", "EPERM")
      .Add("MemoryMax", hardening.memory_max)
      .Add("TasksMax", hardening.tasks_max);
}

}  // namespace vmsilo::unitgen
