#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "proxy/connector.h"
#include "proxy/relay.h"
#include "vsock/address.h"
#include "vsock/connect.h"

namespace vmsilo::proxy {

struct Target {
  vsock::Address address;
  vsock::SourcePort source_port = vsock::SourcePort::kPrivileged;
  absl::Duration wait;  // for the guest's agent
};

// One client's way to a guest's port: first reaching it, then the relay.
class Session {
 public:
  // OK when the connection was carried to its end, or the client left.
  // NotFound: no such VM. Unavailable: nobody answered in it. Aborted: the
  // guest's side broke off. Others as vsock::PendingConnection has them.
  using Done = std::function<void(absl::Status)>;

  // Takes the client's socket, non-blocking. `on_connected` is called before
  // the first byte is passed on; its error ends the session. `done` is called
  // once, from the loop; it may destroy the session.
  static absl::StatusOr<std::unique_ptr<Session>> Start(
      EventLoop* loop, UniqueFd client, const Target& target,
      std::function<absl::Status()> on_connected, Done done);

 private:
  Session(EventLoop* loop, UniqueFd client, Relay::Means means,
          std::function<absl::Status()> on_connected, Done done);

  absl::Status OnConnected(absl::StatusOr<UniqueFd> guest);
  absl::Status OnRelayed(Relay::Outcome outcome);
  absl::Status OnClientGone(uint32_t events);
  // Tells the client why there will be no agent.
  void SendError(const absl::Status& failure);
  absl::Status Finish(absl::Status status);

  EventLoop* loop_;
  UniqueFd client_;
  Relay::Means means_;
  std::function<absl::Status()> on_connected_;
  Done done_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<Relay> relay_;
  Source client_source_;
};

}  // namespace vmsilo::proxy
