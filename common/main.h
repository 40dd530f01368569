#pragma once

#include "common/options.h"

namespace vmsilo {

// The whole of a program's main(): makes sure that descriptors 0 to 2 are
// open, ignores SIGPIPE, sets up the log, reads the command line by the
// program's table, and runs what it says. A failure is one line on stderr;
// the exit code is the one of its status (common/exit_codes.h).
//
//   int main(int argc, char** argv) {
//     Options options;
//     return vmsilo::Main(argc, argv, MakeProgram(&options));
//   }
int Main(int argc, char** argv, Program program);

}  // namespace vmsilo
