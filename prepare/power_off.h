#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "config/config.h"

namespace vmsilo::prepare {

struct PowerOffOptions {
  config::Hypervisor hypervisor = config::Hypervisor::kQemu;
  std::string control;
  // The hypervisor's process; otherwise it is the one that listens on the
  // control socket.
  std::optional<pid_t> pid;
  absl::Duration timeout;
};

// Presses the power button of the VM and waits until the hypervisor's process
// has ended. OK also if it had ended already. DeadlineExceeded: the guest has
// not powered off in time. Other errors: it could not be asked.
absl::Status PowerOff(EventLoop* loop, const PowerOffOptions& options);

}  // namespace vmsilo::prepare
