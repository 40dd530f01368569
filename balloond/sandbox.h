#pragma once

#include <string>

#include "absl/status/status.h"

namespace vmsilo::balloond {

// What may still be reached by its path.
struct Paths {
  std::string run_dir;
  std::string state_dir;
  std::string metrics_dir;  // empty if there is none
};

// Keeps the program's memory from being paged out, as far as it may: it is
// needed most when memory is short.
void LockMemory();

// Gives up everything that sharing memory does not need. Called before the
// first byte of a guest or a person.
absl::Status Confine(const Paths& paths);

}  // namespace vmsilo::balloond
