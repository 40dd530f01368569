#include "tests/lab/supervise.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/epoll_event_loop.h"
#include "common/event_loop.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "tests/lab/job.h"

namespace vmsilo::lab {
namespace {

// A lab that has told its status turns itself off; this is for one that
// cannot.
constexpr absl::Duration kPowerOffTimeout = absl::Seconds(20);

// A socket that the lab connects to once, and what it sends there.
class Channel {
 public:
  using Handler = std::function<absl::Status(absl::string_view bytes)>;

  absl::Status Open(EventLoop* loop, const std::string& path, Handler handler) {
    loop_ = loop;
    handler_ = std::move(handler);
    VMSILO_ASSIGN_OR_RETURN(listener_, ListenUnix(path, 0600));
    VMSILO_ASSIGN_OR_RETURN(
        listening_, loop_->AddIo(listener_.get(), EPOLLIN, [this](uint32_t) {
          return AcceptConnection();
        }));
    return absl::OkStatus();
  }

  // Takes what has come and was not read yet.
  absl::Status Drain() {
    while (connection_.is_valid()) {
      char bytes[65536];
      const ssize_t size = read(connection_.get(), bytes, sizeof(bytes));
      if (size < 0 && errno == EAGAIN) return absl::OkStatus();
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) {
        // The end, or a reset, which a killed lab leaves.
        reading_.Reset();
        connection_.Reset();
        return absl::OkStatus();
      }
      VMSILO_RETURN_IF_ERROR(
          handler_(absl::string_view(bytes, static_cast<size_t>(size))));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status AcceptConnection() {
    VMSILO_ASSIGN_OR_RETURN(connection_, Accept(listener_.get()));
    listening_.Reset();
    listener_.Reset();
    VMSILO_ASSIGN_OR_RETURN(reading_,
                            loop_->AddIo(connection_.get(), EPOLLIN,
                                         [this](uint32_t) { return Drain(); }));
    return absl::OkStatus();
  }

  EventLoop* loop_ = nullptr;
  Handler handler_;
  UniqueFd listener_;
  UniqueFd connection_;
  Source listening_;
  Source reading_;
};

absl::StatusOr<pid_t> Spawn(const Supervision& supervision) {
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd null, Open("/dev/null", O_RDONLY));
  VMSILO_ASSIGN_OR_RETURN(
      const UniqueFd console,
      Open(supervision.console, O_WRONLY | O_CREAT | O_APPEND, 0600));
  std::vector<char*> arguments;
  for (const std::string& argument : supervision.command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return ErrnoStatus("fork");
  if (child > 0) return child;

  // Nothing may outlive the test, whatever ends it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!supervision.inherits_terminal) {
    dup2(null.get(), STDIN_FILENO);
    dup2(console.get(), STDOUT_FILENO);
    dup2(console.get(), STDERR_FILENO);
  }
  execvp(arguments[0], arguments.data());
  dprintf(STDERR_FILENO, "cannot run %s: %m\n", arguments[0]);
  _exit(127);
}

}  // namespace

absl::StatusOr<int> Supervise(const Supervision& supervision) {
  const absl::Time start = absl::Now();
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<EpollEventLoop> loop,
                          EpollEventLoop::Create());
  bool is_ended = false;
  std::optional<int> exit_status;
  std::string status_text;
  absl::Status failure;

  Channel output;
  VMSILO_RETURN_IF_ERROR(output.Open(
      loop.get(), absl::StrCat(supervision.directory, "/", kOutputSocket),
      [](absl::string_view bytes) { return WriteAll(STDOUT_FILENO, bytes); }));

  Source deadline;
  Channel status;
  const auto on_status_line = [&](absl::string_view line) -> absl::Status {
    if (line == kUpLine) {
      supervision.on_up(absl::Now() - start);
      return absl::OkStatus();
    }
    if (absl::ConsumePrefix(&line, kExitPrefix)) {
      VMSILO_ASSIGN_OR_RETURN(exit_status, ParseNumber<int>(line, 0, 255));
      return deadline.SetTimer(kPowerOffTimeout);
    }
    return absl::InternalError(absl::StrCat("status line '", line, "'"));
  };
  const auto on_status = [&](absl::string_view bytes) -> absl::Status {
    absl::StrAppend(&status_text, bytes);
    for (size_t end; (end = status_text.find('\n')) != std::string::npos;) {
      const std::string line = status_text.substr(0, end);
      status_text.erase(0, end + 1);
      VMSILO_RETURN_IF_ERROR(on_status_line(line));
    }
    return absl::OkStatus();
  };
  VMSILO_RETURN_IF_ERROR(status.Open(
      loop.get(), absl::StrCat(supervision.directory, "/", kStatusSocket),
      on_status));

  VMSILO_ASSIGN_OR_RETURN(deadline, loop->AddTimer(supervision.timeout, [&] {
    // After the status is told, killing a lab that does not turn itself off
    // is all there is to do.
    if (!exit_status.has_value()) {
      failure = absl::DeadlineExceededError(absl::StrCat(
          "no result within ", absl::FormatDuration(supervision.timeout)));
    }
    is_ended = true;
    return absl::OkStatus();
  }));
  std::vector<Source> signals;
  for (const int signo : {SIGTERM, SIGINT, SIGHUP}) {
    VMSILO_ASSIGN_OR_RETURN(Source source, loop->AddSignal(signo, [&, signo] {
      failure = absl::CancelledError(absl::StrCat("signal ", signo));
      is_ended = true;
      return absl::OkStatus();
    }));
    signals.push_back(std::move(source));
  }

  VMSILO_ASSIGN_OR_RETURN(const pid_t child, Spawn(supervision));
  const absl::Cleanup reap = [child] {
    kill(child, SIGKILL);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  };
  const UniqueFd pidfd(
      static_cast<int>(syscall(SYS_pidfd_open, child, /*flags=*/0)));
  if (!pidfd.is_valid()) return ErrnoStatus("pidfd_open");
  VMSILO_ASSIGN_OR_RETURN(const Source child_end,
                          loop->AddIo(pidfd.get(), EPOLLIN, [&](uint32_t) {
                            is_ended = true;
                            return absl::OkStatus();
                          }));

  while (!is_ended) {
    VMSILO_RETURN_IF_ERROR(loop->RunOnce(absl::InfiniteDuration()));
  }
  VMSILO_RETURN_IF_ERROR(output.Drain());
  VMSILO_RETURN_IF_ERROR(status.Drain());
  VMSILO_RETURN_IF_ERROR(failure);
  if (!exit_status.has_value()) {
    return absl::UnavailableError("the lab ended without a result");
  }
  return *exit_status;
}

}  // namespace vmsilo::lab
