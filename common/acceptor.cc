#include "common/acceptor.h"

#include <sys/epoll.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/socket.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo {
namespace {

// Between attempts to take a connection that there is no descriptor for.
constexpr absl::Duration kRetryDelay = absl::Seconds(1);

}  // namespace

Acceptor::Acceptor(EventLoop* loop, UniqueFd listener, absl::string_view whom,
                   OnConnection on_connection)
    : loop_(loop),
      listener_(std::move(listener)),
      whom_(whom),
      on_connection_(std::move(on_connection)) {}

absl::Status Acceptor::Start() {
  // Made now, because it is needed when there are no descriptors left; that it
  // fires once for nothing does no harm.
  VMSILO_ASSIGN_OR_RETURN(retry_, loop_->AddTimer(kRetryDelay, [this] {
    return is_paused_ ? absl::OkStatus() : source_.SetEvents(EPOLLIN);
  }));
  VMSILO_ASSIGN_OR_RETURN(source_,
                          loop_->AddIo(listener_.get(), EPOLLIN,
                                       [this](uint32_t) { return TakeOne(); }));
  return absl::OkStatus();
}

absl::Status Acceptor::Pause() {
  is_paused_ = true;
  return source_.SetEvents(0);
}

absl::Status Acceptor::Resume() {
  is_paused_ = false;
  return source_.SetEvents(EPOLLIN);
}

absl::Status Acceptor::TakeOne() {
  absl::StatusOr<UniqueFd> connection = Accept(listener_.get());
  if (!connection.ok()) {
    // It left again: the next event tells of the next one.
    if (absl::IsUnavailable(connection.status())) return absl::OkStatus();
    // It still waits: without a delay this would be asked at once again.
    if (!std::exchange(is_short_, true)) {
      LOG(WARNING) << "cannot take " << whom_ << ": "
                   << connection.status().message()
                   << ", trying again every second";
    }
    VMSILO_RETURN_IF_ERROR(source_.SetEvents(0));
    return retry_.SetTimer(kRetryDelay);
  }
  is_short_ = false;
  return on_connection_(*std::move(connection));
}

}  // namespace vmsilo
