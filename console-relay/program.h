#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "common/options.h"
#include "console-relay/log_file.h"
#include "console-relay/pty.h"

namespace vmsilo::console_relay {

struct Options {
  std::string backend;
  bool connect = false;
  std::string pty;
  Pty::Access access;
  std::string viewers;
  Bytes scrollback = MiB(1);
  LogFile::Options log;
};

// InvalidArgument with the exit code of a usage error.
absl::Status Check(const Options& options);

Program MakeProgram(Options* options,
                    std::function<absl::Status(const Options&)> run);

}  // namespace vmsilo::console_relay
