#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/layout.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

inline constexpr absl::string_view kErrorUnit = layout::kConfigurationErrorUnit;

// The command that the unit runs: prints its arguments and fails.
inline constexpr absl::string_view kReportFailure = "report-failure";

// As many messages, and as much of each, as a unit carries. `vmsilo-unitgen
// check` has the rest.
inline constexpr size_t kMaxReportedMessages = 20;
inline constexpr size_t kMaxReportedBytes = 1000;

// What a generator leaves when it could not generate: a unit that fails at
// boot with the messages in its journal, so that `systemctl --failed` shows
// what would otherwise be silence. `program` is vmsilo-unitgen's absolute path,
// `config_file` the main file of the configuration.
Output ErrorOutput(const std::vector<std::string>& messages,
                   absl::string_view program, absl::string_view config_file);

}  // namespace vmsilo::unitgen
