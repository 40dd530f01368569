#include "agent/launch.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/plan.h"
#include "agent/users.h"
#include "command/frame.h"
#include "command/limits.h"
#include "common/escape.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::agent {
namespace {

// Where a child that could not execute its command got to. Sent as it is:
// both ends of the pipe are this program.
enum class Stage : int { kPrepare, kUser, kDirectory, kExecute };
struct Failure {
  Stage stage = Stage::kPrepare;
  int error = 0;
};

// All that the child needs, made before fork(): afterwards only
// async-signal-safe calls are allowed (man 7 signal-safety).
struct ChildPlan {
  int fds[3] = {-1, -1, -1};
  int result = -1;
  bool is_terminal = false;
  bool changes_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  const gid_t* groups = nullptr;
  size_t group_count = 0;
  const char* directory = nullptr;
  bool is_directory_required = false;
  rlimit files = {};
  bool ends_with_agent = false;
  pid_t agent = 0;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<const char*> candidates;
};

[[noreturn]] void Fail(const ChildPlan& plan, Stage stage) {
  const Failure failure = {.stage = stage, .error = errno};
  // Smaller than PIPE_BUF, so all or nothing; without a reader nobody cares.
  (void)!write(plan.result, &failure, sizeof(failure));
  _exit(127);
}

void ResetSignals() {
  // The kernel's own structure, all zero: SIG_DFL, no flags, nothing blocked.
  // The C library would leave out the two signals that it keeps for itself,
  // and whoever started the agent may have ignored those, too. Fails for the
  // two that cannot be changed, which need not be.
  static const char kDefault[64] = {};
  for (int signo = 1; signo <= command::kMaxSignal; ++signo) {
    (void)syscall(SYS_rt_sigaction, signo, kDefault, nullptr, 8);
  }
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void RunChild(const ChildPlan& plan) {
  ResetSignals();
  // A session of its own: a terminal needs it, and signals go to the group.
  if (setsid() < 0) Fail(plan, Stage::kPrepare);
  if (plan.is_terminal && ioctl(plan.fds[0], TIOCSCTTY, 0) != 0) {
    Fail(plan, Stage::kPrepare);
  }
  // None of the sources is below 3, so that no dup2() overwrites another.
  for (int fd = 0; fd < 3; ++fd) {
    if (dup2(plan.fds[fd], fd) < 0) Fail(plan, Stage::kPrepare);
  }
  // Everything here is close-on-exec already; this is for what a library or
  // whoever started the agent left open. Kernels before 5.11 lack it.
  (void)syscall(SYS_close_range, 3, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
  (void)setrlimit(RLIMIT_NOFILE, &plan.files);
  umask(022);
  if (plan.changes_user && (setgroups(plan.group_count, plan.groups) != 0 ||
                            setresgid(plan.gid, plan.gid, plan.gid) != 0 ||
                            setresuid(plan.uid, plan.uid, plan.uid) != 0)) {
    Fail(plan, Stage::kUser);
  }
  // Should the agent be killed, a command that neither reads nor writes would
  // not notice, and nobody could reach it any more. After the change of the
  // user, which takes this off again; so does a set-user-ID program.
  if (plan.ends_with_agent &&
      (prctl(PR_SET_PDEATHSIG, SIGHUP) != 0 || getppid() != plan.agent)) {
    Fail(plan, Stage::kPrepare);
  }
  if (chdir(plan.directory) != 0 &&
      (plan.is_directory_required || chdir("/") != 0)) {
    Fail(plan, Stage::kDirectory);
  }
  // As execvp() does: a file that may not be executed is remembered, and the
  // search goes on.
  bool is_denied = false;
  errno = ENOENT;
  for (const char* candidate : plan.candidates) {
    execve(candidate, plan.argv.data(), plan.envp.data());
    if (errno == EACCES) is_denied = true;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) break;
  }
  if (is_denied && (errno == ENOENT || errno == ENOTDIR)) errno = EACCES;
  Fail(plan, Stage::kExecute);
}

// Whether this process already is what `user` says, so that an agent without
// privileges can run commands as itself.
bool IsUser(const User& user) {
  std::vector<gid_t> current(kMaxGroups);
  const int count = getgroups(static_cast<int>(current.size()), current.data());
  if (count < 0) return false;
  current.resize(static_cast<size_t>(count));
  // The primary group may be among the others or not.
  current.push_back(getegid());
  const std::set<gid_t> have(current.begin(), current.end());
  const std::set<gid_t> want(user.groups.begin(), user.groups.end());
  return geteuid() == user.uid && getegid() == user.gid && have == want;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Room for all that may be under way of a stream, so that command and agent
// take turns four times as seldom as with the usual 64 KiB.
constexpr int kPipeBytes = int{command::kDefaultWindow};

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// A descriptor above standard error, whatever the agent was started with.
absl::Status MoveUp(UniqueFd* fd) {
  if (fd->get() > STDERR_FILENO) return absl::OkStatus();
  UniqueFd moved(fcntl(fd->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.is_valid()) return ErrnoStatus("move a descriptor");
  *fd = std::move(moved);
  return absl::OkStatus();
}

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus("create a pipe");
  Pipe pipe = {UniqueFd(fds[0]), UniqueFd(fds[1])};
  VMSILO_RETURN_IF_ERROR(MoveUp(&pipe.read));
  VMSILO_RETURN_IF_ERROR(MoveUp(&pipe.write));
  return pipe;
}

absl::Status MakeNonBlocking(const UniqueFd& fd) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus("make a descriptor non-blocking");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenNull() {
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_valid()) return ErrnoStatus("open /dev/null");
  VMSILO_RETURN_IF_ERROR(MoveUp(&null));
  return null;
}

struct Terminal {
  UniqueFd master;
  UniqueFd slave;
};

absl::StatusOr<Terminal> OpenTerminal(const User& user, bool changes_user,
                                      const command::WindowSize& size) {
  Terminal terminal;
  terminal.master =
      UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!terminal.master.is_valid()) {
    return ErrnoStatus("open a terminal (is devpts mounted on /dev/pts?)");
  }
  VMSILO_RETURN_IF_ERROR(MoveUp(&terminal.master));
  int unlocked = 0;
  if (ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0) {
    return ErrnoStatus("unlock a terminal");
  }
  // By way of the master: the path could be another devpts's.
  terminal.slave = UniqueFd(
      ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.slave.is_valid()) return ErrnoStatus("open a terminal's end");
  VMSILO_RETURN_IF_ERROR(MoveUp(&terminal.slave));
  if (changes_user &&
      (fchown(terminal.slave.get(), user.uid, static_cast<gid_t>(-1)) != 0 ||
       fchmod(terminal.slave.get(), 0620) != 0)) {
    return ErrnoStatus("give a terminal to its user");
  }
  SetWindowSize(terminal.master.get(), size);
  return terminal;
}

}  // namespace

absl::StatusOr<Launched> Launch(const Plan& plan, const User& user,
                                Streams streams,
                                const command::WindowSize& window_size,
                                const rlimit& files) {
  ChildPlan child;
  child.changes_user = !IsUser(user);
  child.uid = user.uid;
  child.gid = user.gid;
  child.groups = user.groups.data();
  child.group_count = user.groups.size();
  child.directory = plan.directory.c_str();
  child.is_directory_required = plan.is_directory_required;
  child.files = files;
  child.ends_with_agent =
      streams == Streams::kTerminal || streams == Streams::kPipes;
  child.agent = getpid();
  child.argv = Pointers(plan.arguments);
  child.envp = Pointers(plan.environment);
  for (const std::string& candidate : plan.candidates) {
    child.candidates.push_back(candidate.c_str());
  }

  Launched launched;
  UniqueFd theirs[3];
  switch (streams) {
    case Streams::kTerminal: {
      VMSILO_ASSIGN_OR_RETURN(
          Terminal terminal,
          OpenTerminal(user, child.changes_user, window_size));
      launched.input = std::move(terminal.master);
      launched.terminal = std::move(terminal.slave);
      child.is_terminal = true;
      for (int& fd : child.fds) fd = launched.terminal.get();
      break;
    }
    case Streams::kPipes: {
      VMSILO_ASSIGN_OR_RETURN(Pipe input, MakePipe());
      VMSILO_ASSIGN_OR_RETURN(Pipe output, MakePipe());
      VMSILO_ASSIGN_OR_RETURN(Pipe errors, MakePipe());
      for (const UniqueFd* fd : {&input.write, &output.write}) {
        // Refused where the user's pipes are many: then they stay as they are.
        (void)fcntl(fd->get(), F_SETPIPE_SZ, kPipeBytes);
      }
      launched.input = std::move(input.write);
      launched.output = std::move(output.read);
      launched.errors = std::move(errors.read);
      VMSILO_RETURN_IF_ERROR(MakeNonBlocking(launched.input));
      VMSILO_RETURN_IF_ERROR(MakeNonBlocking(launched.output));
      VMSILO_RETURN_IF_ERROR(MakeNonBlocking(launched.errors));
      theirs[0] = std::move(input.read);
      theirs[1] = std::move(output.write);
      theirs[2] = std::move(errors.write);
      for (int i = 0; i < 3; ++i) {
        child.fds[i] = theirs[i].get();
        // Scripts open /dev/stderr again, as the user.
        if (child.changes_user &&
            fchown(theirs[i].get(), user.uid, user.gid) != 0) {
          return ErrnoStatus("give a pipe to its user");
        }
      }
      break;
    }
    case Streams::kDetachedQuiet:
    case Streams::kDetachedInherit: {
      VMSILO_ASSIGN_OR_RETURN(theirs[0], OpenNull());
      for (int& fd : child.fds) fd = theirs[0].get();
      if (streams == Streams::kDetachedInherit) {
        theirs[1] =
            UniqueFd(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
        if (!theirs[1].is_valid()) return ErrnoStatus("copy standard error");
        child.fds[1] = child.fds[2] = theirs[1].get();
      }
      break;
    }
  }

  VMSILO_ASSIGN_OR_RETURN(Pipe result, MakePipe());
  VMSILO_RETURN_IF_ERROR(MakeNonBlocking(result.read));
  child.result = result.write.get();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus("fork");
  if (pid == 0) RunChild(child);
  launched.pid = pid;
  launched.result = std::move(result.read);
  return launched;
}

std::optional<command::Error> ReadResult(int fd, const Plan& plan) {
  Failure failure;
  ssize_t size = 0;
  do {
    size = read(fd, &failure, sizeof(failure));
  } while (size < 0 && errno == EINTR);
  if (size == 0) return std::nullopt;
  if (size != static_cast<ssize_t>(sizeof(failure))) {
    return command::MakeError(command::ErrorCode::kInternal,
                              "the command's start was not reported");
  }
  const char* reason = strerror(failure.error);
  const std::string command = Quoted(plan.arguments[0]);
  switch (failure.stage) {
    case Stage::kExecute: {
      const bool is_missing =
          failure.error == ENOENT || failure.error == ENOTDIR;
      return command::MakeError(is_missing
                                    ? command::ErrorCode::kCommandNotFound
                                    : command::ErrorCode::kNotExecutable,
                                absl::StrCat(command, ": ", reason));
    }
    case Stage::kDirectory:
      return command::MakeError(
          command::ErrorCode::kCannotStart,
          absl::StrCat("change to ", Quoted(plan.directory), ": ", reason));
    case Stage::kUser:
      return command::MakeError(command::ErrorCode::kCannotStart,
                                absl::StrCat("change the user: ", reason));
    case Stage::kPrepare:
      break;
  }
  return command::MakeError(command::ErrorCode::kCannotStart,
                            absl::StrCat("start ", command, ": ", reason));
}

void SetWindowSize(int terminal, const command::WindowSize& size) {
  winsize value = {};
  value.ws_row = size.rows;
  value.ws_col = size.columns;
  value.ws_xpixel = size.x_pixels;
  value.ws_ypixel = size.y_pixels;
  // Fails for a terminal that is hung up: nobody looks at its size.
  (void)ioctl(terminal, TIOCSWINSZ, &value);
}

}  // namespace vmsilo::agent
