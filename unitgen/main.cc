#include "common/main.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "unitgen/commands.h"
#include "unitgen/error_unit.h"
#include "unitgen/generator_mode.h"
#include "unitgen/program.h"

namespace vmsilo::unitgen {
namespace {

// What vmsilo-configuration-error.service runs. Its messages are errors in
// the journal.
int ReportFailure(const std::vector<std::string>& messages) {
  std::string text;
  for (const std::string& message : messages) {
    absl::StrAppend(&text, "<3>", message, "\n");
  }
  (void)WriteAll(STDERR_FILENO, text);  // the exit code says the rest
  return kExitConfig;
}

int Run(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0),
                                           argv + argc);
  Flags flags;
  // These two are calls by systemd, and no part of the command line that a
  // person sees.
  if (IsGeneratorCall(arguments)) return RunGenerator(flags, arguments[0]);
  if (!arguments.empty() && arguments[0] == kReportFailure) {
    return ReportFailure({arguments.begin() + 1, arguments.end()});
  }
  return Main(argc, argv, MakeProgram(&flags));
}

}  // namespace
}  // namespace vmsilo::unitgen

int main(int argc, char** argv) { return vmsilo::unitgen::Run(argc, argv); }
