#include "proxy/connector.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "vsock/address.h"
#include "vsock/connect.h"

namespace vmsilo::proxy {

absl::Status Connector::Start(absl::Duration wait) {
  VMSILO_ASSIGN_OR_RETURN(
      deadline_, loop_->AddTimer(wait, [this] { return OnDeadline(); }));
  return Attempt();
}

absl::Status Connector::Attempt() {
  absl::StatusOr<vsock::PendingConnection> pending =
      vsock::PendingConnection::Start(address_, source_port_);
  if (!pending.ok()) return AfterFailure(pending.status());
  pending_ = *std::move(pending);
  VMSILO_ASSIGN_OR_RETURN(io_,
                          loop_->AddIo(pending_->fd(), pending_->events(),
                                       [this](uint32_t) { return OnEvent(); }));
  VMSILO_ASSIGN_OR_RETURN(
      attempt_deadline_,
      loop_->AddTimer(kAttemptTimeout, [this] { return OnAttemptTimeout(); }));
  return absl::OkStatus();
}

absl::Status Connector::OnEvent() {
  absl::StatusOr<bool> is_done = pending_->Advance();
  if (is_done.ok() && !*is_done) return absl::OkStatus();
  io_.Reset();
  attempt_deadline_.Reset();
  if (is_done.ok()) return Finish(pending_->Take());
  pending_.reset();
  return AfterFailure(is_done.status());
}

absl::Status Connector::OnAttemptTimeout() {
  io_.Reset();
  pending_.reset();
  return AfterFailure(absl::UnavailableError(
      absl::StrCat("connect ", vsock::FormatAddress(address_), ": no answer")));
}

absl::Status Connector::OnDeadline() {
  io_.Reset();
  retry_.Reset();
  attempt_deadline_.Reset();
  pending_.reset();
  if (last_failure_.ok()) {
    last_failure_ = absl::UnavailableError(absl::StrCat(
        "connect ", vsock::FormatAddress(address_), ": no answer"));
  }
  return Finish(last_failure_);
}

absl::Status Connector::AfterFailure(absl::Status failure) {
  VLOG(1) << failure.message();
  last_failure_ = std::move(failure);
  if (!absl::IsNotFound(last_failure_) && !absl::IsUnavailable(last_failure_)) {
    // It will not be better later. From the loop, as promised.
    VMSILO_ASSIGN_OR_RETURN(
        retry_, loop_->AddTimer(absl::ZeroDuration(),
                                [this] { return Finish(last_failure_); }));
    return absl::OkStatus();
  }
  VMSILO_ASSIGN_OR_RETURN(
      retry_, loop_->AddTimer(backoff_.Next(), [this] { return Attempt(); }));
  return absl::OkStatus();
}

absl::Status Connector::Finish(absl::StatusOr<UniqueFd> result) {
  deadline_.Reset();
  const Done done = std::move(done_);
  return done(std::move(result));
}

}  // namespace vmsilo::proxy
