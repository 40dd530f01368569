#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "hypervisor/client.h"
#include "hypervisor/connection.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor {

// A Client over a Unix socket: a connection a call, driven by the hypervisor's
// Conversation.
class SocketClient final : public Client {
 public:
  using MakeConversation =
      std::function<std::unique_ptr<Conversation>(Request)>;
  // Opens a connection; ResourceExhausted is tried again until the deadline.
  using Connect = std::function<absl::StatusOr<UniqueFd>()>;

  SocketClient(EventLoop* loop, Connect connect,
               MakeConversation make_conversation);
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  void PressPowerButton(absl::Duration deadline, Done done) override;
  void Stop(absl::Duration deadline, Done done) override;
  void Ping(absl::Duration deadline, Done done) override;
  void QueryStatus(absl::Duration deadline, StatusDone done) override;

 private:
  struct Call {
    std::unique_ptr<Conversation> conversation;
    StatusDone done;
    Source deadline;
  };

  void Add(Request request, absl::Duration deadline, StatusDone done);
  void AddSimple(Request request, absl::Duration deadline, Done done);
  void Begin();
  void ScheduleBegin(absl::Duration after);
  // Ends the call that is under way, or sends what comes next in it.
  void OnReceived(absl::StatusOr<absl::string_view> bytes);
  void OnDeadline(Call* call, absl::Duration after);
  // Ends `call`; it may destroy `this`, so that callers return at once.
  void Finish(Call* call, absl::StatusOr<VmStatus> result);

  EventLoop* loop_;
  Connect connect_;
  MakeConversation make_conversation_;
  std::list<std::unique_ptr<Call>> calls_;  // the first may be under way
  std::unique_ptr<Connection> connection_;
  Source begin_source_;
};

}  // namespace vmsilo::hypervisor
