#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace vmsilo::cli {

struct BalloonFlags {
  bool watch = false;
  bool json = false;
  bool metrics = false;
  std::string socket;  // instead of the daemon's own
};

// `vmsilo balloon`: what the memory daemon sees and does, of one silo or all;
// with the operands `set NAME SIZE|auto` a person's wish.
absl::Status BalloonCommand(const std::vector<std::string>& operands,
                            const BalloonFlags& flags);

}  // namespace vmsilo::cli
