#include "proxy/session.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "command/frame.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "proxy/connector.h"
#include "proxy/relay.h"
#include "vsock/address.h"

namespace vmsilo::proxy {
namespace {

command::Error ErrorFor(const absl::Status& failure) {
  switch (failure.code()) {
    case absl::StatusCode::kNotFound:
      return command::MakeError(
          command::ErrorCode::kVmUnreachable,
          absl::StrCat("the VM cannot be reached: ", failure.message()));
    case absl::StatusCode::kUnavailable:
      return command::MakeError(
          command::ErrorCode::kAgentUnreachable,
          absl::StrCat("the VM's agent does not answer: ", failure.message()));
    default:
      return command::MakeError(command::ErrorCode::kInternal,
                                failure.message());
  }
}

}  // namespace

Session::Session(EventLoop* loop, UniqueFd client, Relay::Means means,
                 std::function<absl::Status()> on_connected, Done done)
    : loop_(loop),
      client_(std::move(client)),
      means_(means),
      on_connected_(std::move(on_connected)),
      done_(std::move(done)) {}

absl::StatusOr<std::unique_ptr<Session>> Session::Start(
    EventLoop* loop, UniqueFd client, const Target& target,
    std::function<absl::Status()> on_connected, Done done) {
  const Relay::Means means =
      std::holds_alternative<vsock::KernelAddress>(target.address)
          ? Relay::Means::kCopy
          : Relay::Means::kSplice;
  std::unique_ptr<Session> session(new Session(loop, std::move(client), means,
                                               std::move(on_connected),
                                               std::move(done)));
  Session* self = session.get();
  // Nothing is read before the guest is reached, so that whatever the client
  // has sent waits in the socket; but a client that is gone ends the waiting.
  VMSILO_ASSIGN_OR_RETURN(
      self->client_source_,
      loop->AddIo(self->client_.get(), EPOLLET, [self](uint32_t events) {
        return self->OnClientGone(events);
      }));
  self->connector_ =
      std::make_unique<Connector>(loop, target.address, target.source_port,
                                  [self](absl::StatusOr<UniqueFd> guest) {
                                    return self->OnConnected(std::move(guest));
                                  });
  VMSILO_RETURN_IF_ERROR(self->connector_->Start(target.wait));
  return session;
}

absl::Status Session::OnClientGone(uint32_t events) {
  if ((events & (EPOLLHUP | EPOLLERR)) == 0) return absl::OkStatus();
  VLOG(1) << "the client left before the guest answered";
  return Finish(absl::OkStatus());
}

absl::Status Session::OnConnected(absl::StatusOr<UniqueFd> guest) {
  client_source_.Reset();
  if (!guest.ok()) {
    SendError(guest.status());
    return Finish(guest.status());
  }
  VMSILO_RETURN_IF_ERROR(on_connected_());
  absl::StatusOr<std::unique_ptr<Relay>> relay = Relay::Create(
      loop_, std::move(client_), *std::move(guest), means_,
      [this](Relay::Outcome outcome) { return OnRelayed(outcome); });
  // The end of this session, not of those beside it.
  if (!relay.ok()) return Finish(relay.status());
  relay_ = *std::move(relay);
  return absl::OkStatus();
}

absl::Status Session::OnRelayed(Relay::Outcome outcome) {
  VLOG(1) << "relayed " << relay_->bytes_from_client()
          << " bytes to the guest, " << relay_->bytes_from_guest()
          << " bytes from it";
  return Finish(outcome == Relay::Outcome::kDone
                    ? absl::OkStatus()
                    : absl::AbortedError("the guest broke off"));
}

void Session::SendError(const absl::Status& failure) {
  std::string frame;
  command::AppendFrame(ErrorFor(failure), &frame);
  // It is the first thing on this socket and far smaller than its buffer. A
  // client that left does not care.
  (void)send(client_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
  (void)shutdown(client_.get(), SHUT_WR);
}

absl::Status Session::Finish(absl::Status status) {
  client_source_.Reset();
  const Done done = std::move(done_);
  done(std::move(status));
  return absl::OkStatus();
}

}  // namespace vmsilo::proxy
