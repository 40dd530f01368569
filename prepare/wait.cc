#include "prepare/wait.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/event_loop.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "hypervisor/connect.h"
#include "prepare/trusted_path.h"

namespace vmsilo::prepare {
namespace {

// From bind() to listen() are microseconds, unless the file is an old one.
constexpr absl::Duration kFirstRetry = absl::Milliseconds(5);
constexpr absl::Duration kLastRetry = absl::Milliseconds(200);

constexpr uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_ATTRIB |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

class Waiter {
 public:
  Waiter(EventLoop* loop, const WaitOptions& options)
      : loop_(loop), options_(options) {}

  absl::Status Run() {
    inotify_ = UniqueFd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify_.is_valid()) return ErrnoStatus("inotify");
    VMSILO_ASSIGN_OR_RETURN(
        inotify_source_,
        loop_->AddIo(inotify_.get(), EPOLLIN, [this](uint32_t) {
          Drain();
          return Try();
        }));
    VMSILO_ASSIGN_OR_RETURN(
        timeout_source_, loop_->AddTimer(options_.timeout, [this] {
          Finish(absl::DeadlineExceededError(
              absl::StrCat("nobody listens on ", Quoted(options_.path),
                           " after ", absl::FormatDuration(options_.timeout),
                           " (", last_error_.message(), ")")));
          return absl::OkStatus();
        }));
    if (options_.pid) VMSILO_RETURN_IF_ERROR(WatchProcess(*options_.pid));
    VMSILO_RETURN_IF_ERROR(Try());
    while (!result_) {
      VMSILO_RETURN_IF_ERROR(loop_->RunOnce(absl::InfiniteDuration()));
    }
    return *result_;
  }

 private:
  absl::Status WatchProcess(pid_t pid) {
    pidfd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd_.is_valid()) {
      if (errno == ESRCH) {
        OnProcessEnd();
        return absl::OkStatus();
      }
      return ErrnoStatus(absl::StrCat("watch process ", pid));
    }
    VMSILO_ASSIGN_OR_RETURN(
        pidfd_source_, loop_->AddIo(pidfd_.get(), EPOLLIN, [this](uint32_t) {
          OnProcessEnd();
          return absl::OkStatus();
        }));
    return absl::OkStatus();
  }

  void OnProcessEnd() {
    Finish(absl::UnavailableError(absl::StrCat("process ", *options_.pid,
                                               " ended before it listened on ",
                                               Quoted(options_.path))));
  }

  // The events say that something happened; what, is seen by trying.
  void Drain() {
    alignas(inotify_event) std::array<char, 4096> buffer;
    while (read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
    }
  }

  absl::Status Try() {
    if (result_) return absl::OkStatus();
    // The watch comes first, so that nothing happens between the two unseen.
    VMSILO_RETURN_IF_ERROR(Watch());
    last_error_ = options_.connects ? Connect() : Look();
    if (last_error_.ok()) {
      Finish(absl::OkStatus());
      return absl::OkStatus();
    }
    switch (last_error_.code()) {
      case absl::StatusCode::kNotFound:
        return absl::OkStatus();  // inotify will tell
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kResourceExhausted:
      case absl::StatusCode::kPermissionDenied: {
        VMSILO_ASSIGN_OR_RETURN(
            retry_source_, loop_->AddTimer(retry_, [this] { return Try(); }));
        retry_ = std::min(retry_ * 2, kLastRetry);
        return absl::OkStatus();
      }
      default:
        Finish(last_error_);
        return absl::OkStatus();
    }
  }

  absl::Status Connect() const {
    return hypervisor::ConnectControlSocket(options_.path, options_.type)
        .status();
  }

  absl::Status Look() const {
    // Without the file there is no need to read the table: inotify will tell.
    struct stat info = {};
    if (lstat(options_.path.c_str(), &info) != 0) {
      return ErrnoStatus(absl::StrCat("look at ", Quoted(options_.path)));
    }
    if (!S_ISSOCK(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(Quoted(options_.path), " is not a socket"));
    }
    VMSILO_ASSIGN_OR_RETURN(
        const std::string table,
        ReadFile("/proc/self/net/unix", kMaxSocketTableBytes));
    if (IsListening(table, options_.path)) return absl::OkStatus();
    return absl::UnavailableError("it does not listen");
  }

  // Watches the nearest directory above the socket that exists.
  absl::Status Watch() {
    std::string path = options_.path;
    for (;;) {
      VMSILO_ASSIGN_OR_RETURN(const PathParts parts, SplitAbsolutePath(path));
      const int watch =
          inotify_add_watch(inotify_.get(), parts.directory.c_str(), kEvents);
      if (watch >= 0) {
        // Each watch of a directory further up has served its purpose.
        if (watch != watch_ && watch_ >= 0) {
          (void)inotify_rm_watch(inotify_.get(), watch_);  // may have gone
        }
        watch_ = watch;
        return absl::OkStatus();
      }
      if (errno != ENOENT || parts.directory == "/") {
        return ErrnoStatus(absl::StrCat("watch ", Quoted(parts.directory)));
      }
      path = parts.directory;
    }
  }

  void Finish(absl::Status result) {
    if (!result_) result_ = std::move(result);
  }

  EventLoop* loop_;
  const WaitOptions& options_;
  std::optional<absl::Status> result_;
  absl::Status last_error_;
  absl::Duration retry_ = kFirstRetry;
  int watch_ = -1;
  UniqueFd inotify_;
  UniqueFd pidfd_;
  Source inotify_source_;
  Source pidfd_source_;
  Source retry_source_;
  Source timeout_source_;
};

}  // namespace

bool IsListening(absl::string_view table, absl::string_view path) {
  // "Num RefCount Protocol Flags Type St Inode Path"; the path may hold blanks.
  constexpr int kFlags = 3;
  constexpr int kPath = 7;
  constexpr uint32_t kListens = 0x10000;  // __SO_ACCEPTCON
  for (absl::string_view line : absl::StrSplit(table, '\n')) {
    uint32_t flags = 0;
    for (int field = 0; field < kPath && !line.empty(); ++field) {
      const size_t end = std::min(line.find(' '), line.size());
      if (field == kFlags &&
          !absl::SimpleHexAtoi(line.substr(0, end), &flags)) {
        break;
      }
      line.remove_prefix(std::min(end + 1, line.size()));
      // The inode's number is padded on the left.
      while (!line.empty() && line[0] == ' ') line.remove_prefix(1);
    }
    if (line == path && (flags & kListens) != 0) return true;
  }
  return false;
}

absl::Status WaitForSocket(EventLoop* loop, const WaitOptions& options) {
  VMSILO_RETURN_IF_ERROR(SplitAbsolutePath(options.path).status());
  return Waiter(loop, options).Run();
}

}  // namespace vmsilo::prepare
