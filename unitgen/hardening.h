#pragma once

#include "absl/strings/string_view.h"
#include "unitgen/unit.h"

namespace vmsilo::unitgen {

// SystemCallFilter= of a service that filters its own calls as well: systemd's
// group for services has neither seccomp nor Landlock, and the group @sandbox
// is newer than systemd 252.
inline constexpr absl::string_view kServiceCalls =
    "@system-service seccomp landlock_create_ruleset landlock_add_rule "
    "landlock_restrict_self";

// What one of our programs may do besides the nothing that it starts from.
struct Hardening {
  // RestrictAddressFamilies=.
  absl::string_view address_families = "AF_UNIX";
  // CapabilityBoundingSet=; none if empty.
  absl::string_view capabilities;
  // AmbientCapabilities= for a program that does not run as root.
  absl::string_view ambient_capabilities;
  // ProtectHome=: "yes", "tmpfs" or "read-only".
  absl::string_view protect_home = "yes";
  // A user namespace of its own. Not for what needs capabilities over the
  // host, or acts for users of the host.
  bool has_private_users = true;
  // Off for a program that listens to udev: its messages stay in the host's
  // network namespace.
  bool has_private_network = true;
  // Off for a program that must see devices; say which with DeviceAllow=.
  bool has_private_devices = true;
  // Off for a program that looks at other processes or at /proc outside of
  // them.
  bool has_small_proc = true;
  // MemoryMax= and TasksMax=: far more than it needs, far less than hurts.
  absl::string_view memory_max = "128M";
  absl::string_view tasks_max = "16";
};

void AddHardening(const Hardening& hardening, Unit* unit);

}  // namespace vmsilo::unitgen
