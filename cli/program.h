#pragma once

#include "cli/balloon_command.h"
#include "cli/commands.h"
#include "cli/console_command.h"
#include "cli/logs_command.h"
#include "cli/run_command.h"
#include "common/options.h"

namespace vmsilo::cli {

struct Flags {
  RunFlags run;
  ListFlags list;
  LogsFlags logs;
  ConsoleFlags console;
  BalloonFlags balloon;
};

// The table of `vmsilo`'s commands and options. `flags` outlives it.
Program MakeProgram(Flags* flags);

}  // namespace vmsilo::cli
