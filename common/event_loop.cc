#include "common/event_loop.h"

#include <csignal>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/status_macros.h"

namespace vmsilo {

absl::Status EventLoop::Run(const std::function<void()>& on_start) {
  const auto quit = [this] {
    Quit();
    return absl::OkStatus();
  };
  VMSILO_ASSIGN_OR_RETURN(const Source term, AddSignal(SIGTERM, quit));
  VMSILO_ASSIGN_OR_RETURN(const Source interrupt, AddSignal(SIGINT, quit));
  is_done_ = false;
  if (on_start) on_start();
  while (!is_done_) {
    VMSILO_RETURN_IF_ERROR(RunOnce(absl::InfiniteDuration()));
  }
  return absl::OkStatus();
}

}  // namespace vmsilo
