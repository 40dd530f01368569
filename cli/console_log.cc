#include "cli/console_log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "config/config.h"

namespace vmsilo::cli {
namespace {

// A few times what a pipe holds.
constexpr size_t kChunkBytes = size_t{64} * 1024;

bool IsSameFile(int one, int other) {
  struct stat a = {};
  struct stat b = {};
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

// Whoever can write to the directory could put anything there.
absl::StatusOr<UniqueFd> OpenRegular(int directory, const std::string& name) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd,
                          OpenBeneath(directory, name, O_RDONLY | O_NONBLOCK));
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus("examine a log");
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is not a regular file"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<ConsoleLogFiles> ConsoleLogFiles::Open(const std::string& path) {
  PathParts parts = SplitPath(path);
  VMSILO_ASSIGN_OR_RETURN(
      UniqueFd directory,
      OpenNoSymlinks(parts.directory, O_PATH | O_DIRECTORY));
  ConsoleLogFiles files(std::move(directory), std::move(parts.name));
  VMSILO_RETURN_IF_ERROR(files.OpenNewer());
  if (files.files_.empty()) {
    return absl::NotFoundError(absl::StrCat(path, " does not exist"));
  }
  return files;
}

absl::Status ConsoleLogFiles::OpenNewer() {
  const int last = files_.empty() ? -1 : files_.back().get();
  std::vector<UniqueFd> newer;
  bool has_found_last = false;
  // From the newest on, as a rotation that happens meanwhile moves files to
  // where they are yet to be met: once more perhaps, but never not at all.
  for (uint32_t i = 0; i <= config::kMaxConsoleLogBackups && !has_found_last;
       ++i) {
    absl::StatusOr<UniqueFd> file = OpenRegular(
        directory_.get(), i == 0 ? name_ : absl::StrCat(name_, ".", i));
    // In the middle of a rotation any one may be missing.
    if (absl::IsNotFound(file.status())) continue;
    VMSILO_RETURN_IF_ERROR(file.status());
    has_found_last = last >= 0 && IsSameFile(file->get(), last);
    if (has_found_last ||
        (!newer.empty() && IsSameFile(file->get(), newer.back().get()))) {
      continue;
    }
    newer.push_back(*std::move(file));
  }
  has_gap_ = has_gap_ || (last >= 0 && !has_found_last);
  for (auto file = newer.rbegin(); file != newer.rend(); ++file) {
    files_.push_back(std::move(*file));
  }
  return absl::OkStatus();
}

bool ConsoleLogFiles::IsRotated() const {
  const absl::StatusOr<UniqueFd> newest = OpenRegular(directory_.get(), name_);
  return newest.ok() && !IsSameFile(newest->get(), files_.back().get());
}

absl::StatusOr<size_t> ConsoleLogFiles::Read(char* bytes, size_t size) {
  for (;;) {
    const int file = files_.front().get();
    const ssize_t count = read(file, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus("read the console's log");
    if (count > 0) return static_cast<size_t>(count);
    if (files_.size() > 1) {
      files_.pop_front();
      is_complete_ = false;
    } else if (is_complete_) {
      is_complete_ = false;
      VMSILO_RETURN_IF_ERROR(OpenNewer());
      if (files_.size() == 1) return 0;
    } else if (IsRotated()) {
      // What had come before that is still to be read.
      is_complete_ = true;
    } else {
      struct stat info = {};
      const off_t offset = lseek(file, 0, SEEK_CUR);
      if (fstat(file, &info) != 0 || offset <= info.st_size) return 0;
      // It was full, has no backups, and begins anew.
      has_gap_ = true;
      if (lseek(file, 0, SEEK_SET) != 0) return ErrnoStatus("read a log");
    }
  }
}

bool ConsoleLogFiles::TakeGap() { return std::exchange(has_gap_, false); }

absl::StatusOr<UniqueFd> ConsoleLogFiles::Watch() const {
  UniqueFd watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch.is_valid()) return ErrnoStatus("watch the console's log");
  // The directory that is open, wherever its name leads by now.
  const std::string path = absl::StrCat("/proc/self/fd/", directory_.get());
  if (inotify_add_watch(watch.get(), path.c_str(),
                        IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
    return ErrnoStatus("watch the console's log");
  }
  return watch;
}

namespace {

class LogSession {
 public:
  LogSession(const ConsoleLogOptions& options, ConsoleLogFiles files,
             EventLoop* loop, int out)
      : options_(options),
        files_(std::move(files)),
        loop_(loop),
        is_terminal_(isatty(out) == 1),
        out_(loop, {.written = [](size_t) {},
                    .failed = [this](int error) { OnOutputFailed(error); }}) {}

  absl::Status Run(int out) {
    VMSILO_RETURN_IF_ERROR(Prepare(out));
    while (!is_finished_) {
      // What is not written yet is waited for, so that little is in memory.
      const bool can_read = has_more_ && out_.is_empty();
      VMSILO_RETURN_IF_ERROR(loop_->RunOnce(
          can_read ? absl::ZeroDuration() : absl::InfiniteDuration()));
      if (!is_finished_ && has_more_ && out_.is_empty()) {
        VMSILO_RETURN_IF_ERROR(Show());
      }
    }
    if (is_terminal_ && is_open_) {
      // Whoever comes next has a terminal as it was.
      VMSILO_RETURN_IF_ERROR(
          out_.Write(absl::StrCat(filter_.Reset(), ends_line_ ? "" : "\n"), 0));
    }
    return status_;
  }

 private:
  absl::Status Prepare(int out) {
    for (const int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
      VMSILO_ASSIGN_OR_RETURN(
          Source source, loop_->AddSignal(signo, [this, signo] {
            Finish(WithExitCode(absl::CancelledError(""), 128 + signo));
            return absl::OkStatus();
          }));
      signal_sources_.push_back(std::move(source));
    }
    if (options_.follow) {
      VMSILO_ASSIGN_OR_RETURN(watch_, files_.Watch());
      VMSILO_ASSIGN_OR_RETURN(
          watch_source_, loop_->AddIo(watch_.get(), EPOLLIN,
                                      [this](uint32_t) { return OnChange(); }));
    }
    return out_.Open(out);
  }

  absl::Status OnChange() {
    // What has changed is read from the files themselves.
    std::array<char, 4096> events;
    while (read(watch_.get(), events.data(), events.size()) > 0) {
    }
    has_more_ = true;
    return absl::OkStatus();
  }

  absl::Status Show() {
    VMSILO_ASSIGN_OR_RETURN(const size_t size,
                            files_.Read(chunk_.data(), chunk_.size()));
    if (files_.TakeGap()) {
      LOG(WARNING) << "a part of the log was gone before it could be shown";
    }
    if (size == 0) {
      has_more_ = false;
      if (!options_.follow) Finish(absl::OkStatus());
      return absl::OkStatus();
    }
    const absl::string_view bytes(chunk_.data(), size);
    ends_line_ = bytes.back() == '\n';
    return options_.filter ? out_.Write(filter_.Filter(bytes), 0)
                           : out_.Write(bytes, 0);
  }

  void OnOutputFailed(int error) {
    is_open_ = false;
    // `vmsilo console --log work | head` has what it wanted.
    Finish(error == EPIPE ? absl::OkStatus()
                          : ErrnoStatus(error, "write the console's log"));
  }

  void Finish(absl::Status status) {
    if (is_finished_) return;
    is_finished_ = true;
    status_ = std::move(status);
  }

  const ConsoleLogOptions& options_;
  ConsoleLogFiles files_;
  EventLoop* loop_;
  const bool is_terminal_;
  std::array<char, kChunkBytes> chunk_;
  bool has_more_ = true;
  bool ends_line_ = true;
  bool is_open_ = true;
  bool is_finished_ = false;
  absl::Status status_;
  TerminalFilter filter_;
  UniqueFd watch_;
  LocalOutput out_;
  Source watch_source_;
  std::vector<Source> signal_sources_;
};

}  // namespace

absl::Status ShowConsoleLog(const ConsoleLogOptions& options, EventLoop* loop,
                            int out) {
  VMSILO_ASSIGN_OR_RETURN(ConsoleLogFiles files,
                          ConsoleLogFiles::Open(options.path));
  LogSession session(options, std::move(files), loop, out);
  return session.Run(out);
}

}  // namespace vmsilo::cli
