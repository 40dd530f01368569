#include "cli/local_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::cli {
namespace {

constexpr size_t kReadBytes = 64 * 1024;

// A pipe that epoll calls writable takes this much without blocking
// (PIPE_BUF), so it is all that a blocking descriptor is given at a time.
constexpr size_t kBlockingWriteBytes = 4096;

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

// The same pipe or terminal once more, non-blocking. Invalid where that cannot
// be had: a terminal of another user, say.
UniqueFd OwnDescription(int fd, int access) {
  return UniqueFd(open(absl::StrCat("/proc/self/fd/", fd).c_str(),
                       access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

}  // namespace

absl::Status LocalInput::Open(int fd) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) {
    is_ended_ = false;
    End();
    return absl::OkStatus();
  }
  if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
    fd_ = OwnDescription(fd, O_RDONLY);
  }
  // Reading a blocking descriptor that is readable does not block.
  if (!fd_.is_valid()) fd_ = Duplicate(fd);
  if (!fd_.is_valid()) return ErrnoStatus("duplicate standard input");
  is_ended_ = false;

  absl::StatusOr<Source> source =
      loop_->AddIo(fd_.get(), 0, [this](uint32_t) { return Read(); });
  if (source.ok()) {
    is_pollable_ = true;
    source_ = *std::move(source);
    // With no events asked for, a hang-up would still wake the loop again and
    // again, so the source exists only while it is listening.
    source_.Reset();
  }
  return absl::OkStatus();
}

absl::Status LocalInput::Update() {
  if (is_ended_) return absl::OkStatus();
  const bool has_room = handler_.capacity() > 0;
  if (!is_pollable_) {
    while (!is_ended_ && handler_.capacity() > 0) {
      VMSILO_RETURN_IF_ERROR(Read());
    }
    return absl::OkStatus();
  }
  if (has_room == is_listening_) return absl::OkStatus();
  is_listening_ = has_room;
  if (!has_room) {
    source_.Reset();
    return absl::OkStatus();
  }
  VMSILO_ASSIGN_OR_RETURN(source_,
                          loop_->AddIo(fd_.get(), EPOLLIN, [this](uint32_t) {
                            VMSILO_RETURN_IF_ERROR(Read());
                            return Update();
                          }));
  return absl::OkStatus();
}

absl::Status LocalInput::Read() {
  std::array<char, kReadBytes> buffer;
  const size_t room = std::min(buffer.size(), handler_.capacity());
  if (is_ended_ || room == 0) return absl::OkStatus();
  const ssize_t n = read(fd_.get(), buffer.data(), room);
  if (n > 0) {
    handler_.take(absl::string_view(buffer.data(), static_cast<size_t>(n)));
  } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    // A terminal that has gone fails with EIO; to the command it is the end.
    End();
  }
  return absl::OkStatus();
}

void LocalInput::End() {
  if (is_ended_) return;
  is_ended_ = true;
  is_listening_ = false;
  source_.Reset();
  fd_.Reset();
  handler_.end();
}

absl::Status LocalOutput::Open(int fd) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) {
    kind_ = Kind::kClosed;
    return absl::OkStatus();
  }
  kind_ = Kind::kFile;
  if (S_ISSOCK(info.st_mode)) {
    kind_ = Kind::kSocket;
  } else if (S_ISFIFO(info.st_mode) || isatty(fd) == 1) {
    // Not a file, whose offset and O_APPEND are those of the description.
    fd_ = OwnDescription(fd, O_WRONLY);
    kind_ = fd_.is_valid() ? Kind::kOwnDescription : Kind::kBlocking;
  }
  if (!fd_.is_valid()) fd_ = Duplicate(fd);
  if (!fd_.is_valid()) return ErrnoStatus("duplicate standard output");
  return absl::OkStatus();
}

absl::Status LocalOutput::Write(absl::string_view bytes, size_t weight) {
  if (queue_.empty() && !bytes.empty()) {
    // An error comes again, to Flush().
    const ssize_t n = WriteSome(bytes);
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    if (bytes.empty()) {
      handler_.written(weight);
      return absl::OkStatus();
    }
  }
  queue_.push_back({std::string(bytes), weight});
  // While a source is there the descriptor is full.
  return source_.is_active() ? absl::OkStatus() : Flush();
}

ssize_t LocalOutput::WriteSome(absl::string_view bytes) const {
  switch (kind_) {
    case Kind::kClosed:
      return static_cast<ssize_t>(bytes.size());
    case Kind::kSocket:
      return send(fd_.get(), bytes.data(), bytes.size(),
                  MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::kFile:
    case Kind::kOwnDescription:
      return write(fd_.get(), bytes.data(), bytes.size());
    case Kind::kBlocking:
      // Not before epoll has said that there is room.
      if (!source_.is_active()) {
        errno = EAGAIN;
        return -1;
      }
      return write(fd_.get(), bytes.data(),
                   std::min(bytes.size(), kBlockingWriteBytes));
  }
  return -1;
}

absl::Status LocalOutput::Flush() {
  while (!queue_.empty()) {
    const absl::string_view rest =
        absl::string_view(queue_.front().bytes).substr(offset_);
    if (!rest.empty()) {
      const ssize_t n = WriteSome(rest);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) {
        if (source_.is_active()) return absl::OkStatus();
        VMSILO_ASSIGN_OR_RETURN(
            source_, loop_->AddIo(fd_.get(), EPOLLOUT,
                                  [this](uint32_t) { return Flush(); }));
        return absl::OkStatus();
      }
      if (n < 0) {
        const int error = errno;
        kind_ = Kind::kClosed;
        source_.Reset();
        handler_.failed(error);
        continue;
      }
      offset_ += static_cast<size_t>(n);
      if (offset_ < queue_.front().bytes.size()) {
        // A blocking descriptor gets one portion for each call of epoll's.
        if (kind_ == Kind::kBlocking) return absl::OkStatus();
        continue;
      }
    }
    const size_t weight = queue_.front().weight;
    queue_.pop_front();
    offset_ = 0;
    handler_.written(weight);
    if (kind_ == Kind::kBlocking && source_.is_active() && !queue_.empty()) {
      return absl::OkStatus();
    }
  }
  source_.Reset();
  return absl::OkStatus();
}

}  // namespace vmsilo::cli
