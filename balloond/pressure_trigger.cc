#include "balloond/pressure_trigger.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::balloond {
namespace {

// The shortest window that kernels before 6.4 take.
constexpr absl::Duration kWindow = absl::Milliseconds(500);
// What newer ones take from everybody is a multiple of this.
constexpr absl::Duration kUnprivilegedWindow = absl::Seconds(2);

}  // namespace

absl::StatusOr<UniqueFd> PressureTrigger::ArmFile(const std::string& path,
                                                  const std::string& trigger) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, vmsilo::Open(path, O_RDWR | O_NONBLOCK));
  // With the NUL: the kernel writes one over the last byte.
  const size_t size = trigger.size() + 1;
  const ssize_t written = write(fd.get(), trigger.c_str(), size);
  if (written < 0) {
    return ErrnoStatus(
        absl::StrCat("write ", Quoted(trigger), " to ", Quoted(path)));
  }
  if (static_cast<size_t>(written) != size) {
    return absl::InternalError(
        absl::StrCat("write to ", Quoted(path), ": cut short"));
  }
  return fd;
}

absl::StatusOr<PressureTrigger> PressureTrigger::Open(double ceiling,
                                                      const Arm& arm) {
  if (ceiling <= 0) {
    return absl::InvalidArgumentError("pressure is to be ignored");
  }
  absl::Status status;
  for (const absl::Duration window : {kWindow, kUnprivilegedWindow}) {
    // The kernel wants at least a microsecond, and no more than the window.
    const absl::Duration stall =
        std::clamp(window * (std::min(ceiling, 100.0) / 200),
                   absl::Microseconds(1), window);
    absl::StatusOr<UniqueFd> fd =
        arm(absl::StrCat("some ", absl::ToInt64Microseconds(stall), " ",
                         absl::ToInt64Microseconds(window)));
    if (fd.ok()) return PressureTrigger(*std::move(fd), stall, window);
    status = fd.status();
  }
  return status;
}

}  // namespace vmsilo::balloond
