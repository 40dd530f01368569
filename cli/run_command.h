#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vmsilo::cli {

// `vmsilo run`'s options.
struct RunFlags {
  bool detach = false;
  bool tty = false;
  bool no_tty = false;
  bool raw = false;
  bool no_stdin = false;
  bool no_wait = false;
  bool quiet = false;
  absl::Duration timeout;  // 0: systemd's own time limits
  std::string directory;
  std::string socket;  // instead of the silo's own
  // Whether the command line has a "--": without it options of the command's
  // would have been taken for ours.
  bool has_separator = true;
};

// Runs `command` in the silo with our standard input and output. A status that
// is not OK carries the exit code: the command's own, 128 + signal, 127 when it
// was not found, 126 when it is not executable, 125 for failures of ours.
absl::Status RunCommand(const std::string& silo,
                        const std::vector<std::string>& command,
                        const RunFlags& flags);

}  // namespace vmsilo::cli
