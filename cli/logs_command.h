#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace vmsilo::cli {

struct LogsFlags {
  bool follow = false;
  std::optional<int64_t> lines = 100;  // the last ones; all without
};

// `vmsilo logs`: what the units of one silo have said.
absl::Status LogsCommand(const std::string& silo, const LogsFlags& flags);

}  // namespace vmsilo::cli
