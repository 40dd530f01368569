#include "console-relay/backend.h"

#include <sys/epoll.h>

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

// Between attempts to take a connection that there is no descriptor for.
constexpr absl::Duration kAcceptPause = absl::Seconds(1);

}  // namespace

absl::Status BackendListener::Start() {
  // Made now, because it is needed when there are no descriptors left; that it
  // fires once for nothing does no harm.
  VMSILO_ASSIGN_OR_RETURN(pause_, loop_->AddTimer(kAcceptPause, [this] {
    return source_.SetEvents(EPOLLIN);
  }));
  VMSILO_ASSIGN_OR_RETURN(
      source_, loop_->AddIo(listener_.get(), EPOLLIN,
                            [this](uint32_t) { return OnConnection(); }));
  return absl::OkStatus();
}

absl::Status BackendListener::OnConnection() {
  absl::StatusOr<UniqueFd> guest = Accept(listener_.get());
  if (!guest.ok()) {
    if (absl::IsUnavailable(guest.status())) return absl::OkStatus();
    // Out of descriptors or memory, and the connection still waits: without a
    // pause this would be asked at once again.
    if (!std::exchange(is_short_, true)) {
      LOG(WARNING) << "cannot take the virtual machine's connection: "
                   << guest.status().message() << ", trying again every second";
    }
    VMSILO_RETURN_IF_ERROR(source_.SetEvents(0));
    return pause_.SetTimer(kAcceptPause);
  }
  is_short_ = false;
  return on_guest_(*std::move(guest));
}

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
  VMSILO_ASSIGN_OR_RETURN(
      retry_, loop_->AddTimer(tries_ < kFirstTries ? kFirstDelay : kMaxDelay,
                              [this] { return Connect(); }));
  return absl::OkStatus();
}

}  // namespace vmsilo::console_relay
