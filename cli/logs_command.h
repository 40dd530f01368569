#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace vmsilo::cli {

struct LogsFlags {
  bool follow = false;
  int64_t lines = 100;
};

// `vmsilo logs`: what the units of one silo have said.
absl::Status LogsCommand(const std::string& silo, const LogsFlags& flags);

}  // namespace vmsilo::cli
