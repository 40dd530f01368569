#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/connection.h"
#include "command/frame.h"
#include "common/acceptor.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::agent {

// Clients that have not asked for a command yet. They come one by one.
inline constexpr size_t kMaxHandshakes = 64;

// Attached commands that run at the same time by default. Each costs up to six
// descriptors and less than a megabyte.
inline constexpr size_t kDefaultMaxCommands = 256;

// Connections that have had their last frame and wait for the client to close;
// they are let go after two seconds.
inline constexpr size_t kMaxEnding = 256;

// Anybody in the guest can have a connection refused, again and again; the log
// hears of it this often.
inline constexpr absl::Duration kRefusalLogInterval = absl::Seconds(10);

// Decides about a connection's peer: OK, or PermissionDenied with the reason.
using PeerCheck = std::function<absl::Status(int socket)>;

// Takes connections and reaps children: those of its connections, and as the
// subreaper all that they have left behind.
class Agent : private Connection::Owner {
 public:
  // `loop` and `clock` outlive the agent.
  Agent(EventLoop* loop, const Clock* clock, UniqueFd listener,
        PeerCheck peer_check, Settings settings, size_t max_commands);
  ~Agent() override;

  absl::Status Start();

 private:
  // Connection::Owner
  void OnChild(Connection* connection, pid_t pid) override;
  void OnClosed(Connection* connection) override;

  absl::Status TakeClient(UniqueFd socket);
  absl::Status OnChildSignal();
  // What of one connection more would be too many, or empty.
  std::string Excess() const;
  void LogRefusal(const absl::Status& refusal);
  // Sends one ERROR frame and forgets the client.
  void Refuse(UniqueFd socket, command::ErrorCode code,
              absl::string_view message);

  EventLoop* loop_;
  const Clock* clock_;
  PeerCheck peer_check_;
  Settings settings_;
  size_t max_commands_;
  absl::Time next_refusal_log_ = absl::InfinitePast();
  size_t unlogged_refusals_ = 0;
  std::map<Connection*, std::unique_ptr<Connection>> connections_;
  std::map<pid_t, Connection*> children_;
  Source child_source_;
  Acceptor acceptor_;
};

}  // namespace vmsilo::agent
