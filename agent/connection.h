#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/launch.h"
#include "agent/plan.h"
#include "agent/users.h"
#include "command/frame.h"
#include "command/server.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::agent {

// A client that connects and does not ask for a command is let go. It is on
// the same machine, and has its command ready.
inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);

// How long, after a command has ended, others may still hold its output open:
// long enough for the rest of a pipeline to finish its last words, short enough
// that a daemon it leaves behind does not keep a person waiting.
inline constexpr absl::Duration kOutputGrace = absl::Milliseconds(250);

// What is then still taken of each stream: as much as a pipe holds.
inline constexpr size_t kLastOutputBytes = size_t{64} * 1024;

// Between the hang-up of a command whose client is gone and its end by force.
inline constexpr absl::Duration kKillGrace = absl::Seconds(5);

// How long a client may take to read the last frame and close.
inline constexpr absl::Duration kLinger = absl::Seconds(2);

// What all connections share.
struct Settings {
  // Asked anew for each command, so that changes of the user database count.
  std::function<absl::StatusOr<User>()> user;
  // "/run/user/UID" of a user, or "" if there is none.
  std::function<std::string(const User&)> runtime_directory;
  std::vector<std::string> environment;
  Streams detached_streams = Streams::kDetachedQuiet;
  rlimit files = {};  // RLIMIT_NOFILE of commands
};

// One client and its command.
class Connection : private command::ServerSession::Handler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // `connection` has the child `pid` now: the owner reaps it and calls
    // OnChildExit().
    virtual void OnChild(Connection* connection, pid_t pid) = 0;
    // It has come to its end; the owner may destroy it.
    virtual void OnClosed(Connection* connection) = 0;
  };

  // `settings` and `owner` outlive the connection.
  static absl::StatusOr<std::unique_ptr<Connection>> Create(
      EventLoop* loop, UniqueFd socket, const Settings* settings, Owner* owner);

  // The child has been reaped.
  absl::Status OnChildExit(const command::Exit& exit);

  // The agent ends: says so to the client, hangs up on an attached command.
  void ShutDown();

  enum class Phase { kHandshake, kCommand, kEnd };
  Phase phase() const {
    return session_.is_finished() ? Phase::kEnd
           : session_.has_start() ? Phase::kCommand
                                  : Phase::kHandshake;
  }

 private:
  enum : size_t { kOut = 0, kErr = 1 };

  struct Output {
    UniqueFd fd;  // not with a terminal, whose output is in input_
    bool is_open = false;
    size_t budget = 0;  // of last output, once is_last_output_
    Source source;
    uint32_t interest = 0;
  };

  Connection(EventLoop* loop, UniqueFd socket, const Settings* settings,
             Owner* owner);

  // command::ServerSession::Handler
  void OnStart(const command::Start& start) override;
  void OnStdin(absl::string_view bytes) override;
  void OnStdinEnd() override;
  void OnWindowSize(const command::WindowSize& size) override;
  void OnSignal(uint8_t number) override;

  absl::Status Greet();
  // Turns the failure of a handler into the end of this connection: others go
  // on. May destroy this object.
  absl::Status Survive(absl::Status status);
  absl::Status AfterChildExit(const command::Exit& exit);
  absl::Status OnSocket(uint32_t events);
  absl::Status OnResult();
  absl::Status OnInput(uint32_t events);
  absl::Status OnOutput(size_t which);
  absl::Status OnTimer();
  absl::Status OnKillTimer();

  int OutputFd(size_t which) const {
    return is_terminal_ ? input_.get() : outputs_[which].fd.get();
  }
  void ReadSocket();
  void ReadOutput(size_t which);
  void CloseOutput(size_t which);
  void WriteInput();
  void CloseInput();
  void MaybeFinish();
  void TakeResult();
  void OnClientGone();
  void HangUp();
  void DropStreams();
  void Signal(int number);

  // Called at the end of every handler: sends what is pending and adjusts what
  // is waited for. May destroy this object.
  absl::Status Update();
  void FlushSocket();
  absl::Status Watch();
  // Has `source` watch `fd` for `events`.
  absl::Status Watch(int fd, uint32_t events, Source* source,
                     uint32_t* interest, EventLoop::IoHandler handler);

  EventLoop* loop_;
  UniqueFd socket_;
  const Settings* settings_;
  Owner* owner_;
  command::ServerSession session_;

  Plan plan_;
  pid_t pid_ = 0;  // 0: none, or reaped
  bool is_detached_ = false;
  bool is_terminal_ = false;
  UniqueFd terminal_;  // the slave, until the command runs
  UniqueFd result_;
  UniqueFd input_;
  std::string stdin_;  // not yet written
  size_t stdin_start_ = 0;
  bool has_stdin_end_ = false;
  std::array<Output, 2> outputs_;
  std::optional<command::Exit> exit_;

  bool is_client_gone_ = false;
  bool is_shut_ = false;         // the last frame went out, the end was sent
  bool is_last_output_ = false;  // the grace is over
  bool is_hung_up_ = false;

  Source socket_source_;
  uint32_t socket_interest_ = 0;
  Source result_source_;
  Source input_source_;
  uint32_t input_interest_ = 0;
  Source timer_;
  Source kill_timer_;
};

}  // namespace vmsilo::agent
