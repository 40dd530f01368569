#include "common/main.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/options.h"
#include "common/version.h"

namespace vmsilo {
namespace {

// A program started with a standard descriptor closed would give its number
// to the next file it opens, and print errors into that file. Standard output
// is opened for reading: who writes to it still fails with EBADF, and output
// that was asked for is not thrown away in silence. Messages are, as nobody
// could be told.
bool OpenStandardFds() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    if (open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd) {
      return false;
    }
  }
  return true;
}

absl::Status Print(absl::string_view text) {
  return WriteAll(STDOUT_FILENO, text);
}

absl::Status Execute(const Program& program, const Invocation& invocation) {
  switch (invocation.kind) {
    case Invocation::Kind::kHelp:
      return Print(HelpText(program, invocation.command));
    case Invocation::Kind::kVersion:
      return Print(absl::StrCat(program.name, " ", kVersion, "\n"));
    case Invocation::Kind::kManual:
      return Print(ManualPage(program));
    case Invocation::Kind::kCompletion: {
      const absl::StatusOr<std::string> script =
          CompletionScript(program, invocation.shell);
      return script.ok() ? Print(*script)
                         : WithExitCode(script.status(), kExitUsage);
    }
    case Invocation::Kind::kRun:
      break;
  }
  return invocation.command->run(invocation.operands);
}

}  // namespace

int Main(int argc, char** argv, Program program) {
  if (!OpenStandardFds()) return kExitOsError;
  (void)signal(SIGPIPE, SIG_IGN);  // fails only for a bad signal number
  InitLog(program.name);
  AddStandardOptions(&program);

  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0),
                                           argv + argc);
  const absl::StatusOr<Invocation> invocation =
      ParseCommandLine(program, arguments);
  const absl::Status status =
      invocation.ok() ? Execute(program, *invocation) : invocation.status();
  if (status.ok()) return 0;
  if (!status.message().empty()) LOG(ERROR) << status.message();
  if (!invocation.ok()) {
    LOG(ERROR) << "see '" << program.name << " --help'";
  }
  return ExitCodeFor(status);
}

}  // namespace vmsilo
