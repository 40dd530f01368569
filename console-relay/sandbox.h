#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace vmsilo::console_relay {

// What may still be reached by its path.
struct Paths {
  std::string terminal;                    // its file
  std::vector<std::string> created_files;  // removed at the end
  std::string log;                         // empty if there is none
};

// Gives up everything that relaying does not need. Called before the first
// byte of a guest or a user.
absl::Status Confine(const Paths& paths);

}  // namespace vmsilo::console_relay
