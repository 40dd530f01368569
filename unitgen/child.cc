#include "unitgen/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::unitgen {
namespace {

absl::StatusOr<UniqueFd> MemoryFile() {
  UniqueFd fd(memfd_create("vmsilo-unitgen", MFD_CLOEXEC));
  if (!fd.is_valid()) return ErrnoStatus("memfd_create");
  return fd;
}

// Undoes what Main() did to signals, and connects 0, 1 and 2.
class SpawnSetup {
 public:
  SpawnSetup(int in, int out) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null",
                                     O_WRONLY, 0);
    posix_spawnattr_init(&attributes_);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes_, &defaults);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Whether the process has ended in time. On an error of poll() it has not.
bool WaitFor(int pidfd, absl::Duration timeout) {
  pollfd wait = {.fd = pidfd, .events = POLLIN};
  const int milliseconds = static_cast<int>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 0, INT_MAX));
  int ready = 0;
  // A signal only makes the wait longer; nothing here sends any.
  while ((ready = poll(&wait, 1, milliseconds)) < 0 && errno == EINTR) {
  }
  return ready > 0;
}

}  // namespace

absl::StatusOr<ChildResult> RunChild(const std::vector<std::string>& argv,
                                     absl::string_view input,
                                     absl::Duration timeout, size_t max_bytes) {
  // Files in memory, not pipes: neither side ever waits for the other.
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd in, MemoryFile());
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd out, MemoryFile());
  VMSILO_RETURN_IF_ERROR(WriteAll(in.get(), input));
  if (lseek(in.get(), 0, SEEK_SET) != 0) return ErrnoStatus("lseek");

  std::vector<char*> arguments;
  for (const std::string& one : argv) {
    arguments.push_back(const_cast<char*>(one.c_str()));
  }
  arguments.push_back(nullptr);
  const SpawnSetup setup(in.get(), out.get());
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0], setup.actions(),
                                 setup.attributes(), arguments.data(), environ);
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("start ", Quoted(argv[0])));
  }
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const bool ended = pidfd.is_valid() && WaitFor(pidfd.get(), timeout);
  if (!ended) (void)kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus("waitpid");
  }
  if (!ended) {
    return absl::DeadlineExceededError(
        absl::StrCat(Quoted(argv[0]), " has not ended after ",
                     absl::FormatDuration(timeout)));
  }

  ChildResult result;
  result.exit_status =
      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out.resize(max_bytes);
  size_t size = 0;
  while (size < max_bytes) {
    const ssize_t got = pread(out.get(), result.out.data() + size,
                              max_bytes - size, static_cast<off_t>(size));
    if (got < 0) return ErrnoStatus("read");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  result.out.resize(size);
  return result;
}

}  // namespace vmsilo::unitgen
