#include "proxy/server.h"

#include <sys/epoll.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/log.h"
#include "common/socket.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "proxy/session.h"

namespace vmsilo::proxy {
namespace {

// Between attempts to take a connection that there is no descriptor for.
constexpr absl::Duration kAcceptPause = absl::Seconds(1);

}  // namespace

absl::Status Server::Start() {
  // Made now, because it is needed when there are no descriptors left; that it
  // fires once for nothing does no harm.
  VMSILO_ASSIGN_OR_RETURN(pause_, loop_->AddTimer(kAcceptPause, [this] {
    return source_.SetEvents(sessions_.size() < kMaxSessions ? uint32_t{EPOLLIN}
                                                             : 0);
  }));
  VMSILO_ASSIGN_OR_RETURN(
      source_, loop_->AddIo(listener_.get(), EPOLLIN,
                            [this](uint32_t) { return OnConnection(); }));
  return absl::OkStatus();
}

absl::Status Server::OnConnection() {
  absl::StatusOr<UniqueFd> client = Accept(listener_.get());
  if (!client.ok()) {
    // The client left again, or the system is short of something: the next
    // event tells.
    if (absl::IsUnavailable(client.status())) return absl::OkStatus();
    // Out of descriptors or memory, and the connection still waits: without a
    // pause this would be asked at once again.
    LOG(WARNING) << client.status().message() << ", trying again in a second";
    VMSILO_RETURN_IF_ERROR(source_.SetEvents(0));
    return pause_.SetTimer(kAcceptPause);
  }
  const auto place = sessions_.insert(sessions_.end(), nullptr);
  const auto done = [this, place](const absl::Status& status) {
    if (!status.ok()) LOG(WARNING) << status.message();
    if (sessions_.size() == kMaxSessions) {
      // Fails only for a source that is gone.
      (void)source_.SetEvents(EPOLLIN);
    }
    sessions_.erase(place);
  };
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Start(
      loop_, *std::move(client), target_, [] { return absl::OkStatus(); },
      done);
  if (!session.ok()) {
    LOG(WARNING) << session.status().message() << ", connection dropped";
    sessions_.erase(place);
    return absl::OkStatus();
  }
  *place = *std::move(session);
  if (sessions_.size() == kMaxSessions) return source_.SetEvents(0);
  return absl::OkStatus();
}

}  // namespace vmsilo::proxy
