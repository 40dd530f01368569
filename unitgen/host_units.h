#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "unitgen/context.h"
#include "unitgen/unit.h"

namespace vmsilo::unitgen {

// In generator mode: makes the directories that tmpfiles.d makes elsewhere.
inline constexpr absl::string_view kDirectoriesUnit =
    "vmsilo-directories.service";

// The balloon daemon, the USB templates, and in generator mode the host's
// directories.
void AddHostUnits(Context* context);

// The unit that systemd makes for a network interface.
std::string NetworkDeviceUnit(absl::string_view interface);

// For units that hand USB devices over, as root.
void AddUsbAccess(Unit* unit);

// For units that run systemd-tmpfiles as root.
void AddTmpfilesHardening(Unit* unit);

}  // namespace vmsilo::unitgen
