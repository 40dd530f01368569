#pragma once

#include "absl/status/statusor.h"
#include "config/config.h"
#include "unitgen/mode.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// Every file that `config` asks for. What a hypervisor cannot do is left out;
// where that is no error, Load() has warned about it.
//
// Pure: the same configuration gives the same bytes. InvalidArgument with one
// line a fault where files cannot be written so that systemd reads back what
// was configured, or two things would have one name.
absl::StatusOr<Output> Generate(const config::Config& config, const Mode& mode);

}  // namespace vmsilo::unitgen
