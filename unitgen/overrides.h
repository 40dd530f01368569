#pragma once

#include "absl/status/status.h"
#include "config/config.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// What to do about settings for a unit that is not in the output.
enum class UnknownUnit {
  // A mistake: the name is misspelt, or the silo does not use the feature.
  kRefuse,
  // The output is only a part: as a generator, units of the user's manager
  // are not made.
  kIgnore,
  // The configuration has errors, which may be what keeps a unit out: only a
  // name that no unit could have is a mistake.
  kRefuseImpossible,
};

// Adds the raw settings of `units` to the generated units, as a drop-in
// NAME.d/50-vmsilo.conf each, which `systemctl cat` shows with its path.
//
// InvalidArgument, with one line a fault ("KEY: message") and `output`
// untouched, for what would break a unit: settings that say what a unit is
// (User=, ExecStart=, Type=, …), lists emptied that the unit needs, a restart
// that would restart the virtual machine, an ordering cycle, and text that is
// no setting. What may be meant so becomes a warning: names that systemd does
// not know, weaker confinement, less memory than the guest has.
absl::Status ApplyOverrides(const config::Config& config, UnknownUnit unknown,
                            Output* output);

}  // namespace vmsilo::unitgen
