#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"

namespace vmsilo::balloond {

// The kernel's word that tasks wait for memory, while nobody looks: a
// descriptor that gets POLLPRI (EPOLLPRI) when they do, once a window at most.
// The first event may be a false one, and nothing says that it is over (Linux
// Documentation/accounting/psi.rst).
class PressureTrigger {
 public:
  // Opens /proc/pressure/memory and writes a trigger to it.
  using Arm = std::function<absl::StatusOr<UniqueFd>(const std::string&)>;
  static absl::StatusOr<UniqueFd> ArmFile(const std::string& path,
                                          const std::string& trigger);

  // Fires at half of `ceiling` percent of a window: of half a second, for
  // which every kernel wants CAP_SYS_RESOURCE, or else of two seconds, for
  // which newer ones want nothing. InvalidArgument if the ceiling is 0, or the
  // error of the second attempt. CAP_SYS_RESOURCE can be given up afterwards:
  // what counts is who opened the file.
  static absl::StatusOr<PressureTrigger> Open(double ceiling, const Arm& arm);

  int fd() const { return fd_.get(); }
  absl::Duration stall() const { return stall_; }
  absl::Duration window() const { return window_; }

 private:
  PressureTrigger(UniqueFd fd, absl::Duration stall, absl::Duration window)
      : fd_(std::move(fd)), stall_(stall), window_(window) {}

  UniqueFd fd_;
  absl::Duration stall_;
  absl::Duration window_;
};

}  // namespace vmsilo::balloond
