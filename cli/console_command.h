#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"

namespace vmsilo::cli {

// `vmsilo console`'s options.
struct ConsoleFlags {
  bool read_only = false;
  bool take_over = false;
  bool raw = false;
  std::optional<char> escape = '~';
  bool log = false;
  bool follow = false;  // the log
  std::string socket;   // instead of the silo's own
};

// Connects the person with the silo's console until the person leaves, or shows
// the console's log.
absl::Status ConsoleCommand(const std::string& silo, const ConsoleFlags& flags);

}  // namespace vmsilo::cli
