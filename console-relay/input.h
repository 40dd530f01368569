#pragma once

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {

// What was typed and the guest has not taken yet. It lives in a pipe, and the
// kernel moves it in and out: like the ring it survives the process, without a
// byte lost or doubled.
class Input {
 public:
  static absl::StatusOr<Input> Create();
  // The ends of a pipe that an earlier process left.
  static absl::StatusOr<Input> Adopt(UniqueFd read_end, UniqueFd write_end);

  int read_end() const { return read_end_.get(); }
  int write_end() const { return write_end_.get(); }

  // Bytes that wait.
  size_t size() const { return size_; }

  // Takes what has been typed at a terminal; how much. 0 when there is nothing
  // or no room.
  absl::StatusOr<size_t> TakeFromTerminal(int terminal);

  // Takes all of `bytes`, at most console::kMaxInputBytes, or nothing (false)
  // when there is no room.
  absl::StatusOr<bool> Take(absl::string_view bytes);

  // Gives a guest's socket what it takes; how much. Unavailable when it is
  // gone.
  absl::StatusOr<size_t> GiveTo(int guest);

  // Throws away everything; how much that was.
  size_t Discard();

 private:
  Input(UniqueFd read_end, UniqueFd write_end)
      : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}

  UniqueFd read_end_;
  UniqueFd write_end_;
  size_t size_ = 0;
};

}  // namespace vmsilo::console_relay
