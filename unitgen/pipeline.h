#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/diagnostics.h"
#include "config/load.h"
#include "unitgen/mode.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// The way from the configuration's files to the generated ones.
struct Generated {
  config::LoadResult load;
  // What there is to say about loading and generating.
  std::vector<config::Diagnostic> diagnostics;
  // Absent if there is an error among the diagnostics.
  std::optional<Output> output;
};

// Loads, generates, and adds the raw settings of `units`.
Generated GenerateFrom(const config::LoadOptions& options, const Mode& mode);

// A diagnostic about a key, at the place where the key was set.
config::Diagnostic DiagnosticAt(const config::LoadResult& load,
                                config::Severity severity,
                                absl::string_view key,
                                absl::string_view message);

// "FILE:LINE:COLUMN" of a key, or "default".
std::string OriginText(const config::LoadResult& load, absl::string_view key);

}  // namespace vmsilo::unitgen
