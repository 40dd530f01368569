#pragma once

#include "absl/strings/string_view.h"

// What the command line calls devices that the monitor's clients ask for.
namespace vmsilo::hypervisor::qemu {

inline constexpr absl::string_view kBalloonId = "balloon0";

}  // namespace vmsilo::hypervisor::qemu
