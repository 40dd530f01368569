// lab_runner (sockets|ports|terminal): runs the job of the shared directory
// inside of a lab, as the last step of its boot, and turns the lab off.
// Output and exit status leave through the sockets of the shared directory
// (a container), or through virtio ports (a machine, whose kernel is not the
// one behind the sockets). With `terminal` the job has the machine's second
// console for input and output.

#include <fcntl.h>
#include <linux/reboot.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "tests/lab/job.h"

namespace vmsilo::lab {
namespace {

constexpr size_t kMaxJobBytes = 1 << 20;

std::string Shared(absl::string_view name) {
  return absl::StrCat(kSharedDirectory, "/", name);
}

struct Channels {
  UniqueFd input;
  UniqueFd output;
  UniqueFd status;
};

absl::StatusOr<UniqueFd> ConnectBlocking(absl::string_view name) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(Shared(name)));
  if (fcntl(fd.get(), F_SETFL, 0) < 0) return ErrnoStatus("fcntl F_SETFL");
  return fd;
}

// By name from sysfs: the links that udev makes may come later than this.
absl::StatusOr<UniqueFd> OpenPort(absl::string_view name) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/sys/class/virtio-ports", error)) {
    const absl::StatusOr<std::string> found =
        ReadFile(entry.path() / "name", kMaxJobBytes);
    if (found.ok() && absl::StripAsciiWhitespace(*found) == name) {
      return Open("/dev" / entry.path().filename(), O_WRONLY);
    }
  }
  return absl::NotFoundError(absl::StrCat("no virtio port ", name));
}

absl::StatusOr<Channels> OpenChannels(absl::string_view kind) {
  Channels channels;
  VMSILO_ASSIGN_OR_RETURN(channels.input, Open("/dev/null", O_RDONLY));
  if (kind == "sockets") {
    VMSILO_ASSIGN_OR_RETURN(channels.output, ConnectBlocking(kOutputSocket));
    VMSILO_ASSIGN_OR_RETURN(channels.status, ConnectBlocking(kStatusSocket));
    return channels;
  }
  VMSILO_ASSIGN_OR_RETURN(channels.status, OpenPort("lab.status"));
  if (kind == "terminal") {
    // The controlling terminal of the program, not ours.
    VMSILO_ASSIGN_OR_RETURN(channels.input,
                            Open("/dev/hvc0", O_RDONLY | O_NOCTTY));
    VMSILO_ASSIGN_OR_RETURN(channels.output,
                            Open("/dev/hvc0", O_WRONLY | O_NOCTTY));
  } else {
    VMSILO_ASSIGN_OR_RETURN(channels.output, OpenPort("lab.output"));
  }
  return channels;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// The value of a variable as a number; 0 if it has none.
unsigned short Number(const Job& job, absl::string_view variable) {
  for (absl::string_view entry : job.environment) {
    if (!absl::ConsumePrefix(&entry, variable) ||
        !absl::ConsumePrefix(&entry, "=")) {
      continue;
    }
    return ParseNumber<unsigned short>(entry, 0, 10000).value_or(0);
  }
  return 0;
}

void SetTerminalSize(const Job& job, int terminal) {
  const winsize size = {.ws_row = Number(job, "LINES"),
                        .ws_col = Number(job, "COLUMNS"),
                        .ws_xpixel = 0,
                        .ws_ypixel = 0};
  // A shell is usable without it.
  if (size.ws_row != 0) (void)ioctl(terminal, TIOCSWINSZ, &size);
}

// Runs the program to its end. A shell's number for how it ended.
absl::StatusOr<int> RunJob(const Job& job, const Channels& channels,
                           bool has_terminal) {
  if (has_terminal) SetTerminalSize(job, channels.input.get());
  const pid_t child = fork();
  if (child < 0) return ErrnoStatus("fork");
  if (child == 0) {
    // A session of its own, so that it can have a controlling terminal and
    // its signals do not reach this process.
    setsid();
    dup2(channels.input.get(), STDIN_FILENO);
    dup2(channels.output.get(), STDOUT_FILENO);
    dup2(channels.output.get(), STDERR_FILENO);
    if (has_terminal) ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    if (chdir(job.directory.c_str()) == 0) {
      execve(job.arguments[0].c_str(), Pointers(job.arguments).data(),
             Pointers(job.environment).data());
    }
    dprintf(STDERR_FILENO, "lab: cannot run %s in %s: %m\n",
            job.arguments[0].c_str(), job.directory.c_str());
    _exit(126);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::Status Run(absl::string_view kind) {
  VMSILO_ASSIGN_OR_RETURN(const std::string text,
                          ReadFile(Shared(kJobFile), kMaxJobBytes));
  VMSILO_ASSIGN_OR_RETURN(const Job job, ParseJob(text));
  VMSILO_ASSIGN_OR_RETURN(const Channels channels, OpenChannels(kind));
  VMSILO_RETURN_IF_ERROR(
      WriteAll(channels.status.get(), absl::StrCat(kUpLine, "\n")));
  VMSILO_ASSIGN_OR_RETURN(const int status,
                          RunJob(job, channels, kind == "terminal"));
  return WriteAll(channels.status.get(),
                  absl::StrCat(kExitPrefix, status, "\n"));
}

}  // namespace
}  // namespace vmsilo::lab

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const absl::Status status = vmsilo::lab::Run(argc > 1 ? argv[1] : "");
  if (!status.ok()) {
    // Not to the journal, which ends with the lab.
    std::ofstream("/dev/console")
        << "lab_runner: " << status.message() << std::endl;
  }
  // At once: a lab has nothing to save, and an orderly shutdown takes
  // seconds. Bytes in the channels have left: writes to them are synchronous.
  reboot(LINUX_REBOOT_CMD_POWER_OFF);
  return 1;
}
