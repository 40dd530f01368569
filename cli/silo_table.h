#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cli/service_manager.h"
#include "config/config.h"

// How silos look in a list. Pure.
namespace vmsilo::cli {

struct Silo {
  std::string name;
  UnitState vm_unit;
  // From the configuration; absent if it does not mention the silo, or cannot
  // be read.
  std::optional<config::Vm> configured;
};

// Whether and how a terminal can show colours.
enum class Colours { kNone, k256, kTrueColour };

// A table for people.
std::string ListText(absl::Span<const Silo> silos, Colours colours);

// `text` in the colour `#rrggbb`, or as it is.
std::string Coloured(absl::string_view text, absl::string_view colour,
                     Colours colours);

}  // namespace vmsilo::cli
