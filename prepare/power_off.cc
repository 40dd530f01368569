#include "prepare/power_off.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "hypervisor/client.h"
#include "hypervisor/connect.h"
#include "hypervisor/make_client.h"

namespace vmsilo::prepare {
namespace {

// One press: a monitor that another client holds for a moment, or a Cloud
// Hypervisor that is busy, is tried again.
constexpr absl::Duration kPressDeadline = absl::Seconds(5);

// A guest that is still booting does not hear the button, so it is pressed
// again. One that is shutting down takes no notice.
constexpr absl::Duration kPressInterval = absl::Seconds(5);
constexpr absl::Duration kRetryInterval = absl::Milliseconds(250);

// No pidfd: the process has gone.
absl::StatusOr<UniqueFd> OpenProcess(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.is_valid() && errno != ESRCH) {
    return ErrnoStatus(absl::StrCat("watch process ", pid));
  }
  return fd;
}

// Whether nobody listens, or nobody can.
bool IsGone(const absl::Status& status) {
  return status.code() == absl::StatusCode::kNotFound ||
         status.code() == absl::StatusCode::kUnavailable;
}

class PowerOffRun {
 public:
  PowerOffRun(EventLoop* loop, const PowerOffOptions& options)
      : loop_(loop), options_(options) {}

  absl::Status Run() {
    VMSILO_RETURN_IF_ERROR(FindProcess());
    if (!process_.is_valid()) return absl::OkStatus();
    VMSILO_ASSIGN_OR_RETURN(
        process_source_,
        loop_->AddIo(process_.get(), EPOLLIN, [this](uint32_t) {
          Finish(absl::OkStatus());
          return absl::OkStatus();
        }));
    VMSILO_ASSIGN_OR_RETURN(timeout_source_,
                            loop_->AddTimer(options_.timeout, [this] {
                              OnTimeout();
                              return absl::OkStatus();
                            }));
    client_ = hypervisor::MakeClient(loop_, options_.hypervisor,
                                     options_.control, options_.pid);
    Press();
    while (!result_) {
      VMSILO_RETURN_IF_ERROR(loop_->RunOnce(absl::InfiniteDuration()));
    }
    return *result_;
  }

 private:
  absl::Status FindProcess() {
    if (options_.pid) {
      VMSILO_ASSIGN_OR_RETURN(process_, OpenProcess(*options_.pid));
      return absl::OkStatus();
    }
    const absl::StatusOr<UniqueFd> connection =
        hypervisor::ConnectControlSocket(
            options_.control, hypervisor::SocketType(options_.hypervisor));
    if (!connection.ok()) {
      return IsGone(connection.status()) ? absl::OkStatus()
                                         : connection.status();
    }
    ucred peer = {};
    socklen_t size = sizeof(peer);
    if (getsockopt(connection->get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) !=
        0) {
      return ErrnoStatus("ask for the hypervisor's process");
    }
    if (peer.pid <= 1) {
      return absl::FailedPreconditionError(
          "cannot tell which process the hypervisor is; name it with --pid");
    }
    VMSILO_ASSIGN_OR_RETURN(process_, OpenProcess(peer.pid));
    // The listener lives: otherwise its number may be another process's now.
    char byte = 0;
    const ssize_t n =
        recv(connection->get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) process_.Reset();
    return absl::OkStatus();
  }

  void Press() {
    client_->PressPowerButton(
        kPressDeadline,
        [this](const absl::Status& status) { OnPressed(status); });
  }

  void OnPressed(const absl::Status& status) {
    if (status.ok()) {
      if (!std::exchange(is_asked_, true)) {
        LOG(INFO) << "asked the guest to power off, waiting up to "
                  << absl::FormatDuration(options_.timeout);
      }
      PressLater(kPressInterval);
      return;
    }
    last_error_ = status;
    if (IsGone(status) ||
        status.code() == absl::StatusCode::kDeadlineExceeded ||
        status.code() == absl::StatusCode::kResourceExhausted) {
      // It may be ending; then the process will tell.
      PressLater(kRetryInterval);
      return;
    }
    Finish(Annotate(status, "ask the guest to power off"));
  }

  void PressLater(absl::Duration after) {
    absl::StatusOr<Source> timer = loop_->AddTimer(after, [this] {
      Press();
      return absl::OkStatus();
    });
    if (timer.ok()) {
      press_source_ = *std::move(timer);
    } else {
      Finish(timer.status());
    }
  }

  void OnTimeout() {
    const std::string after = absl::FormatDuration(options_.timeout);
    if (is_asked_) {
      Finish(absl::DeadlineExceededError(
          absl::StrCat("the guest was asked to power off and has not done so "
                       "within ",
                       after)));
    } else {
      Finish(absl::DeadlineExceededError(
          absl::StrCat("the guest could not be asked to power off within ",
                       after, ": ", last_error_.message())));
    }
  }

  void Finish(absl::Status result) {
    if (!result_) result_ = std::move(result);
  }

  EventLoop* loop_;
  const PowerOffOptions& options_;
  std::optional<absl::Status> result_;
  absl::Status last_error_ = absl::DeadlineExceededError("no answer");
  bool is_asked_ = false;
  UniqueFd process_;
  std::unique_ptr<hypervisor::Client> client_;
  Source process_source_;
  Source press_source_;
  Source timeout_source_;
};

}  // namespace

absl::Status PowerOff(EventLoop* loop, const PowerOffOptions& options) {
  return PowerOffRun(loop, options).Run();
}

}  // namespace vmsilo::prepare
