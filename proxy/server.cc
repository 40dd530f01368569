#include "proxy/server.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/acceptor.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/unique_fd.h"
#include "proxy/session.h"

namespace vmsilo::proxy {

Server::Server(EventLoop* loop, UniqueFd listener, Target target)
    : loop_(loop),
      target_(std::move(target)),
      acceptor_(loop, std::move(listener), "a client", [this](UniqueFd client) {
        return TakeClient(std::move(client));
      }) {}

absl::Status Server::TakeClient(UniqueFd client) {
  const auto place = sessions_.insert(sessions_.end(), nullptr);
  const auto done = [this, place](const absl::Status& status) {
    if (!status.ok()) LOG(WARNING) << status.message();
    if (sessions_.size() == kMaxSessions) {
      // Fails only for a source that is gone.
      (void)acceptor_.Resume();
    }
    sessions_.erase(place);
  };
  absl::StatusOr<std::unique_ptr<Session>> session = Session::Start(
      loop_, std::move(client), target_, [] { return absl::OkStatus(); }, done);
  if (!session.ok()) {
    LOG(WARNING) << session.status().message() << ", connection dropped";
    sessions_.erase(place);
    return absl::OkStatus();
  }
  *place = *std::move(session);
  if (sessions_.size() == kMaxSessions) return acceptor_.Pause();
  return absl::OkStatus();
}

}  // namespace vmsilo::proxy
