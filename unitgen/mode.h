#pragma once

#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {

// In generator mode: what systemd was given when a silo's socket or VM last
// started. A generator can write to its own directories only, so a unit copies
// it.
inline constexpr absl::string_view kKeptUnits = "/run/vmsilo/.units";

// What the files are made for.
struct Mode {
  // Called by systemd as a generator: only system units can be written, so
  // what would be a file elsewhere becomes a unit, or is left out.
  bool is_generator = false;
};

}  // namespace vmsilo::unitgen
