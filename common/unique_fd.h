#pragma once

#include <unistd.h>

#include <utility>

namespace vmsilo {

// Owns one file descriptor and closes it. Move-only; there is no conversion
// to int, so a borrow is always written out as `fd.get()`.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    // Through a temporary, so that assigning an object to itself keeps it.
    UniqueFd(std::move(other)).swap(*this);
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool is_valid() const { return fd_ >= 0; }

  // Closes what is held. The result of close() is of no use: on Linux the
  // descriptor is gone even when it fails (man 2 close).
  void Reset() {
    if (fd_ >= 0) (void)close(fd_);
    fd_ = -1;
  }

  // Gives up ownership without closing.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

  void swap(UniqueFd& other) noexcept { std::swap(fd_, other.fd_); }

 private:
  int fd_ = -1;
};

}  // namespace vmsilo
