#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "balloon/message.h"
#include "cli/service_manager.h"
#include "config/config.h"
#include "console/message.h"
#include "hypervisor/client.h"

// How silos look in a list. Pure.
namespace vmsilo::cli {

struct Silo {
  std::string name;
  UnitState vm_unit;
  // From the configuration; absent if it does not mention the silo, or cannot
  // be read.
  std::optional<config::Vm> configured;

  // The rest is for the details.
  std::vector<UnitState> other_units;
  size_t connections = 0;  // commands that run, one proxy each
  // What the hypervisor says; absent if we may not ask it.
  std::optional<hypervisor::VmStatus> vm;
  // What the console's relay says, as ConsoleQuery tells it; absent if the
  // silo has none.
  std::optional<absl::StatusOr<console::Status>> console;
  // What the memory daemon says; absent if it says nothing.
  std::optional<balloon::Status::Vm> balloon;
};

// Whether and how a terminal can show colours.
enum class Colours { kNone, k256, kTrueColour };

// `text` in the colour `#rrggbb`, or as it is.
std::string Coloured(absl::string_view text, absl::string_view colour,
                     Colours colours);

// A line each.
std::string ListText(absl::Span<const Silo> silos, Colours colours);

// All that is known, a paragraph each. `now` is the wall clock's.
std::string StatusText(absl::Span<const Silo> silos, absl::Time now,
                       absl::TimeZone zone, Colours colours);

// The same for programs: an array of objects. What is not known is absent.
std::string ListJson(absl::Span<const Silo> silos);

}  // namespace vmsilo::cli
