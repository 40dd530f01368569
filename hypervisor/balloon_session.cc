#include "hypervisor/balloon_session.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/client.h"
#include "hypervisor/connection.h"

namespace vmsilo::hypervisor {
namespace {

absl::StatusOr<Source> Busy() {
  return absl::ResourceExhaustedError("an earlier request has no answer yet");
}

Bytes RoundDown(Bytes size) {
  return Bytes(size.count() / MiB(1).count() * MiB(1).count());
}

}  // namespace

BalloonSession::BalloonSession(EventLoop* loop, const Clock* clock,
                               Connect connect,
                               MakeConversation make_conversation)
    : loop_(loop),
      clock_(clock),
      connect_(std::move(connect)),
      make_conversation_(std::move(make_conversation)),
      call_later_(loop) {}

void BalloonSession::Query(absl::Duration deadline,
                           BalloonClient::SampleDone done) {
  absl::StatusOr<Source> timer =
      query_ || is_asking() ? Busy() : Begin(Call::kQuery, deadline);
  if (!timer.ok()) {
    call_later_.Add(
        [done = std::move(done), status = timer.status()] { done(status); });
    return;
  }
  query_ = {.done = std::move(done), .deadline = *std::move(timer)};
  BalloonConversation::Step step = conversation_->Query(clock_->Now());
  Send(&step);
}

void BalloonSession::SetSize(Bytes size, absl::Duration deadline,
                             BalloonClient::Done done) {
  absl::StatusOr<Source> timer =
      resize_ ? Busy() : Begin(Call::kSetSize, deadline);
  if (!timer.ok()) {
    call_later_.Add(
        [done = std::move(done), status = timer.status()] { done(status); });
    return;
  }
  BalloonConversation::Step step = conversation_->SetSize(RoundDown(size));
  if (step.resized) {
    call_later_.Add(
        [done = std::move(done), status = *step.resized] { done(status); });
  } else {
    resize_ = {.done = std::move(done), .deadline = *std::move(timer)};
  }
  Send(&step);
}

absl::StatusOr<Source> BalloonSession::Begin(Call call,
                                             absl::Duration deadline) {
  if (connection_ == nullptr) VMSILO_RETURN_IF_ERROR(Open());
  return loop_->AddTimer(deadline, [this, call, deadline] {
    OnDeadline(call, deadline);
    return absl::OkStatus();
  });
}

absl::Status BalloonSession::Open() {
  absl::StatusOr<UniqueFd> fd = connect_();
  if (absl::IsResourceExhausted(fd.status())) {
    // Of the listener's queue, not of ours.
    return absl::UnavailableError(fd.status().message());
  }
  VMSILO_RETURN_IF_ERROR(fd.status());
  VMSILO_ASSIGN_OR_RETURN(
      connection_,
      Connection::Create(loop_, *std::move(fd),
                         [this](absl::StatusOr<absl::string_view> bytes) {
                           OnReceived(std::move(bytes));
                         }));
  conversation_ = make_conversation_();
  connection_->Send(conversation_->Begin());
  return absl::OkStatus();
}

void BalloonSession::Send(BalloonConversation::Step* step) {
  connection_->Send(std::move(step->send));
  if (!step->wait) return;
  absl::StatusOr<Source> timer = loop_->AddTimer(*step->wait, [this] {
    if (conversation_ != nullptr) Take(conversation_->Continue(clock_->Now()));
    return absl::OkStatus();
  });
  // Should this fail, the deadline ends the call.
  if (timer.ok()) wait_ = *std::move(timer);
}

void BalloonSession::OnReceived(absl::StatusOr<absl::string_view> bytes) {
  if (!bytes.ok()) {
    End(bytes.status());
  } else if (bytes->empty()) {
    End(conversation_->ReceiveEnd());
  } else {
    absl::StatusOr<BalloonConversation::Step> step =
        conversation_->Receive(*bytes, clock_->Now());
    if (step.ok()) {
      Take(*std::move(step));
    } else {
      End(step.status());
    }
  }
}

void BalloonSession::Take(BalloonConversation::Step step) {
  Send(&step);
  // An answer that comes too late finds nobody.
  auto query = step.sample ? std::exchange(query_, std::nullopt) : std::nullopt;
  auto resize =
      step.resized ? std::exchange(resize_, std::nullopt) : std::nullopt;
  const std::weak_ptr<char> life = life_;
  if (step.changed && changed_) {
    const BalloonClient::Changed changed = changed_;
    changed(*step.changed);
  }
  if (resize && !life.expired()) resize->done(*step.resized);
  if (query && !life.expired()) query->done(*std::move(step.sample));
}

void BalloonSession::OnDeadline(Call call, absl::Duration after) {
  const auto [reason, may_stay] = conversation_->GiveUp(call);
  const absl::Status why(
      reason.code(),
      absl::StrCat(reason.message(), " within ", absl::FormatDuration(after)));
  if (!may_stay) {
    End(why);
  } else if (call == Call::kQuery) {
    const auto query = std::exchange(query_, std::nullopt);
    wait_.Reset();
    query->done(why);
  } else {
    const auto resize = std::exchange(resize_, std::nullopt);
    resize->done(why);
  }
}

void BalloonSession::End(const absl::Status& why) {
  wait_.Reset();
  connection_.reset();
  conversation_.reset();
  const auto query = std::exchange(query_, std::nullopt);
  const auto resize = std::exchange(resize_, std::nullopt);
  const std::weak_ptr<char> life = life_;
  if (resize) resize->done(why);
  if (query && !life.expired()) query->done(why);
}

}  // namespace vmsilo::hypervisor
