#include "console-relay/backend_connector.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/socket.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {
namespace {

// Soon, for the seconds in which a virtual machine starts or restarts, so that
// next to nothing of a boot is missed where nobody keeps it (QEMU); then ten
// times a second.
constexpr absl::Duration kFirstDelay = absl::Milliseconds(5);
constexpr int kFirstTries = 1000;
constexpr absl::Duration kMaxDelay = absl::Milliseconds(100);

}  // namespace

absl::Status BackendConnector::Connect() {
  absl::StatusOr<UniqueFd> guest = ConnectUnix(path_);
  if (guest.ok()) {
    tries_ = 0;
    retry_.Reset();
    return on_guest_(*std::move(guest));
  }
  if (tries_ == 0) {
    VLOG(1) << guest.status().message() << ", trying again and again";
  }
  tries_ = std::min(tries_ + 1, kFirstTries);
  return Wait();
}

absl::Status BackendConnector::ConnectAgain() { return Wait(); }

absl::Status BackendConnector::Wait() {
  VMSILO_ASSIGN_OR_RETURN(
      retry_, loop_->AddTimer(tries_ < kFirstTries ? kFirstDelay : kMaxDelay,
                              [this] { return Connect(); }));
  return absl::OkStatus();
}

}  // namespace vmsilo::console_relay
