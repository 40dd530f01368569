#include "unitgen/hardening.h"

namespace vmsilo::unitgen {

void AddHardening(const Hardening& hardening, Unit* unit) {
  Section& service = unit->In("Service");
  service.Add("UMask", "0077")
      .Add("NoNewPrivileges", "yes")
      .Add("CapabilityBoundingSet", hardening.capabilities)
      .AddIf(!hardening.ambient_capabilities.empty(), "AmbientCapabilities",
             hardening.ambient_capabilities)
      .Add("ProtectSystem", "strict")
      .Add("ProtectHome", hardening.protect_home)
      .Add("PrivateTmp", "yes")
      .AddIf(hardening.has_private_devices, "PrivateDevices", "yes")
      .Add("DevicePolicy", "closed")
      .Add("PrivateIPC", "yes")
      .Add("PrivateNetwork", "yes")
      .AddIf(hardening.has_private_users, "PrivateUsers", "yes")
      .Add("ProtectProc", hardening.has_small_proc ? "invisible" : "default")
      .AddIf(hardening.has_small_proc, "ProcSubset", "pid")
      .Add("ProtectClock", "yes")
      .Add("ProtectControlGroups", "yes")
      .Add("ProtectHostname", "yes")
      .Add("ProtectKernelLogs", "yes")
      .Add("ProtectKernelModules", "yes")
      .Add("ProtectKernelTunables", "yes")
      .Add("LockPersonality", "yes")
      .Add("MemoryDenyWriteExecute", "yes")
      .Add("RestrictAddressFamilies", hardening.address_families)
      .Add("IPAddressDeny", "any")
      .Add("RestrictNamespaces", "yes")
      .Add("RestrictRealtime", "yes")
      .Add("RestrictSUIDSGID", "yes")
      .Add("SystemCallArchitectures", "native")
      .Add("SystemCallFilter", kServiceCalls)
      .Add("SystemCallFilter", "~@privileged @resources")
      // A program drops what it has left before it reads foreign bytes.
      .Add("SystemCallFilter", "capset")
      .Add("SystemCallErrorNumber", "EPERM")
      .Add("MemoryMax", hardening.memory_max)
      .Add("TasksMax", hardening.tasks_max);
}

}  // namespace vmsilo::unitgen
