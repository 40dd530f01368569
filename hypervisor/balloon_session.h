#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/call_later.h"
#include "hypervisor/client.h"
#include "hypervisor/connection.h"

namespace vmsilo::hypervisor {

// One connection that stays open, driven by the hypervisor's
// BalloonConversation. Calls behave as BalloonClient's.
class BalloonSession {
 public:
  using Connect = std::function<absl::StatusOr<UniqueFd>()>;
  // For each connection a new one.
  using MakeConversation =
      std::function<std::unique_ptr<BalloonConversation>()>;

  BalloonSession(EventLoop* loop, const Clock* clock, Connect connect,
                 MakeConversation make_conversation);
  BalloonSession(const BalloonSession&) = delete;
  BalloonSession& operator=(const BalloonSession&) = delete;

  void Query(absl::Duration deadline, BalloonClient::SampleDone done);
  void SetSize(Bytes size, absl::Duration deadline, BalloonClient::Done done);
  void OnChange(BalloonClient::Changed changed) {
    changed_ = std::move(changed);
  }

  // Whether a query has no answer yet, also one whose deadline has passed.
  bool is_asking() const {
    return conversation_ != nullptr && conversation_->is_asking();
  }

 private:
  using Call = BalloonConversation::Call;

  template <typename DoneFunction>
  struct Pending {
    DoneFunction done;
    Source deadline;
  };

  // Connects if need be. The call's deadline.
  absl::StatusOr<Source> Begin(Call call, absl::Duration deadline);
  absl::Status Open();
  void OnReceived(absl::StatusOr<absl::string_view> bytes);
  void OnDeadline(Call call, absl::Duration after);
  void Send(BalloonConversation::Step* step);
  // These end with handlers, which may destroy `this`.
  void Take(BalloonConversation::Step step);
  void End(const absl::Status& why);

  EventLoop* loop_;
  const Clock* clock_;
  Connect connect_;
  MakeConversation make_conversation_;
  BalloonClient::Changed changed_;
  std::unique_ptr<BalloonConversation> conversation_;  // while connected
  std::unique_ptr<Connection> connection_;
  std::optional<Pending<BalloonClient::SampleDone>> query_;
  std::optional<Pending<BalloonClient::Done>> resize_;
  Source wait_;
  CallLater call_later_;
  // Gone when `this` is.
  std::shared_ptr<char> life_ = std::make_shared<char>();
};

}  // namespace vmsilo::hypervisor
