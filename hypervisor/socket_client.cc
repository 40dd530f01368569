#include "hypervisor/socket_client.h"

#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "hypervisor/client.h"
#include "hypervisor/connection.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor {
namespace {

// A queue of connections empties within one turn of the peer's loop.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(50);

}  // namespace

SocketClient::SocketClient(EventLoop* loop, Connect connect,
                           MakeConversation make_conversation)
    : loop_(loop),
      connect_(std::move(connect)),
      make_conversation_(std::move(make_conversation)) {}

void SocketClient::PressPowerButton(absl::Duration deadline, Done done) {
  AddSimple(Request::kPressPowerButton, deadline, std::move(done));
}

void SocketClient::Stop(absl::Duration deadline, Done done) {
  AddSimple(Request::kStop, deadline, std::move(done));
}

void SocketClient::Ping(absl::Duration deadline, Done done) {
  AddSimple(Request::kPing, deadline, std::move(done));
}

void SocketClient::QueryStatus(absl::Duration deadline, StatusDone done) {
  Add(Request::kQueryStatus, deadline, std::move(done));
}

void SocketClient::AddSimple(Request request, absl::Duration deadline,
                             Done done) {
  Add(request, deadline,
      [done = std::move(done)](const absl::StatusOr<VmStatus>& result) {
        done(result.status());
      });
}

void SocketClient::Add(Request request, absl::Duration deadline,
                       StatusDone done) {
  auto owned = std::make_unique<Call>();
  Call* call = owned.get();
  call->conversation = make_conversation_(request);
  call->done = std::move(done);
  calls_.push_back(std::move(owned));
  absl::StatusOr<Source> timer =
      loop_->AddTimer(deadline, [this, call, deadline] {
        OnDeadline(call, deadline);
        return absl::OkStatus();
      });
  // Without a timer the call could hang, so it does not begin; Begin() ends it.
  if (timer.ok()) call->deadline = *std::move(timer);
  if (calls_.size() == 1) ScheduleBegin(absl::ZeroDuration());
}

void SocketClient::ScheduleBegin(absl::Duration after) {
  if (calls_.empty()) return;
  absl::StatusOr<Source> timer = loop_->AddTimer(after, [this] {
    Begin();
    return absl::OkStatus();
  });
  // Should even this fail, the deadline ends the call.
  if (timer.ok()) begin_source_ = *std::move(timer);
}

void SocketClient::Begin() {
  if (calls_.empty() || connection_ != nullptr) return;
  Call* call = calls_.front().get();
  if (!call->deadline.is_active()) {
    Finish(call, absl::InternalError("cannot set a timer"));
    return;
  }
  absl::StatusOr<UniqueFd> fd = connect_();
  if (!fd.ok()) {
    if (fd.status().code() == absl::StatusCode::kResourceExhausted) {
      ScheduleBegin(kRetryInterval);
    } else {
      Finish(call, fd.status());
    }
    return;
  }
  absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Create(
      loop_, *std::move(fd), [this](absl::StatusOr<absl::string_view> bytes) {
        OnReceived(std::move(bytes));
      });
  if (!connection.ok()) {
    Finish(call, connection.status());
    return;
  }
  connection_ = *std::move(connection);
  connection_->Send(call->conversation->Begin());
}

void SocketClient::OnReceived(absl::StatusOr<absl::string_view> bytes) {
  Call* call = calls_.front().get();
  if (!bytes.ok()) {
    Finish(call, bytes.status());
    return;
  }
  if (bytes->empty()) {
    const absl::Status end = call->conversation->ReceiveEnd();
    if (end.ok()) {
      Finish(call, call->conversation->status());
    } else {
      Finish(call, end);
    }
    return;
  }
  absl::StatusOr<Conversation::Step> step = call->conversation->Receive(*bytes);
  if (!step.ok()) {
    Finish(call, step.status());
  } else if (step->is_done) {
    Finish(call, call->conversation->status());
  } else {
    connection_->Send(std::move(step->send));
  }
}

void SocketClient::OnDeadline(Call* call, absl::Duration after) {
  Finish(call, absl::DeadlineExceededError(absl::StrCat(
                   "no answer within ", absl::FormatDuration(after))));
}

void SocketClient::Finish(Call* call, absl::StatusOr<VmStatus> result) {
  if (calls_.front().get() == call) {
    // Closed even if the peer is to answer yet: its answer dies with it.
    begin_source_.Reset();
    connection_.reset();
  }
  const auto position =
      std::find_if(calls_.begin(), calls_.end(),
                   [call](const auto& other) { return other.get() == call; });
  const std::unique_ptr<Call> ended = std::move(*position);
  calls_.erase(position);
  if (connection_ == nullptr) ScheduleBegin(absl::ZeroDuration());
  ended->done(std::move(result));
}

}  // namespace vmsilo::hypervisor
