#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "proxy/backoff.h"
#include "vsock/address.h"
#include "vsock/connect.h"

namespace vmsilo::proxy {

// An attempt that gets no answer for this long is given up and made again: a
// monitor accepts connections before its guest listens to it, and then says
// nothing. A guest that is up answers within a millisecond.
inline constexpr absl::Duration kAttemptTimeout = absl::Seconds(1);

// Tries to reach a guest's port until that works or the time is over.
class Connector {
 public:
  // Gets the connected socket or the last attempt's error, see
  // PendingConnection. Called once, from the loop; may destroy the connector.
  using Done = std::function<absl::Status(absl::StatusOr<UniqueFd>)>;

  Connector(EventLoop* loop, vsock::Address address,
            vsock::SourcePort source_port, Done done)
      : loop_(loop),
        address_(std::move(address)),
        source_port_(source_port),
        done_(std::move(done)) {}

  // Starts, with `wait` for everything. Errors are the system's.
  absl::Status Start(absl::Duration wait);

 private:
  absl::Status Attempt();
  absl::Status OnEvent();
  absl::Status OnAttemptTimeout();
  absl::Status OnDeadline();
  absl::Status AfterFailure(absl::Status failure);
  absl::Status Finish(absl::StatusOr<UniqueFd> result);

  EventLoop* loop_;
  vsock::Address address_;
  vsock::SourcePort source_port_;
  Done done_;
  Backoff backoff_;
  absl::Status last_failure_;
  std::optional<vsock::PendingConnection> pending_;
  Source io_;
  Source retry_;
  Source attempt_deadline_;
  Source deadline_;
};

}  // namespace vmsilo::proxy
