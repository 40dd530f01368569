#include "console-relay/input.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {
namespace {

// As much as a pipe holds unless it is told otherwise.
constexpr size_t kMoveBytes = size_t{64} * 1024;

// No bytes now, or no room.
bool IsForLater(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

absl::StatusOr<Input> Input::Create() {
  std::array<int, 2> ends = {-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return ErrnoStatus("make a pipe for the input");
  }
  return Input(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

absl::StatusOr<Input> Input::Adopt(UniqueFd read_end, UniqueFd write_end) {
  struct stat info = {};
  int waiting = 0;
  if (fstat(read_end.get(), &info) != 0 || !S_ISFIFO(info.st_mode) ||
      fstat(write_end.get(), &info) != 0 || !S_ISFIFO(info.st_mode) ||
      ioctl(read_end.get(), FIONREAD, &waiting) != 0) {
    return absl::InvalidArgumentError("the input is not a pipe");
  }
  Input input(std::move(read_end), std::move(write_end));
  input.size_ = static_cast<size_t>(waiting);
  return input;
}

absl::StatusOr<size_t> Input::TakeFromTerminal(int terminal) {
  const ssize_t taken = splice(terminal, nullptr, write_end(), nullptr,
                               kMoveBytes, SPLICE_F_NONBLOCK);
  if (taken < 0) {
    if (IsForLater(errno)) return 0;
    return ErrnoStatus("read from the terminal");
  }
  size_ += static_cast<size_t>(taken);
  return static_cast<size_t>(taken);
}

absl::StatusOr<bool> Input::Take(absl::string_view bytes) {
  const ssize_t taken = write(write_end(), bytes.data(), bytes.size());
  if (taken < 0) {
    if (IsForLater(errno)) return false;
    return ErrnoStatus("write to the input's pipe");
  }
  // A pipe takes so little at once or not at all.
  size_ += static_cast<size_t>(taken);
  return true;
}

absl::StatusOr<size_t> Input::GiveTo(int guest) {
  size_t given = 0;
  while (size_ > 0) {
    const ssize_t moved =
        splice(read_end(), nullptr, guest, nullptr, size_, SPLICE_F_NONBLOCK);
    if (moved < 0) {
      if (IsForLater(errno)) break;
      return absl::UnavailableError("the guest is gone");
    }
    if (moved == 0) break;
    given += static_cast<size_t>(moved);
    size_ -= static_cast<size_t>(moved);
  }
  return given;
}

size_t Input::Discard() {
  std::array<char, 4096> bytes;
  while (read(read_end(), bytes.data(), bytes.size()) > 0) {
  }
  return std::exchange(size_, 0);
}

}  // namespace vmsilo::console_relay
