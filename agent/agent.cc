#include "agent/agent.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/connection.h"
#include "command/frame.h"
#include "common/acceptor.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::agent {

Agent::Agent(EventLoop* loop, const Clock* clock, UniqueFd listener,
             PeerCheck peer_check, Settings settings, size_t max_commands)
    : loop_(loop),
      clock_(clock),
      peer_check_(std::move(peer_check)),
      settings_(std::move(settings)),
      max_commands_(max_commands),
      acceptor_(loop, std::move(listener), "a client", [this](UniqueFd socket) {
        return TakeClient(std::move(socket));
      }) {}

Agent::~Agent() {
  for (const auto& [connection, owned] : connections_) connection->ShutDown();
}

absl::Status Agent::Start() {
  // Commands that leave children behind must not leave zombies, also where
  // nobody else reaps: a busybox init may run only what it was told to.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return ErrnoStatus("become the reaper of orphans");
  }
  VMSILO_ASSIGN_OR_RETURN(child_source_, loop_->AddSignal(SIGCHLD, [this] {
    return OnChildSignal();
  }));
  return acceptor_.Start();
}

absl::Status Agent::TakeClient(UniqueFd socket) {
  const absl::Status allowed = peer_check_(socket.get());
  if (!allowed.ok()) {
    LogRefusal(allowed);
    Refuse(std::move(socket), command::ErrorCode::kRefused, allowed.message());
    return absl::OkStatus();
  }
  if (const std::string excess = Excess(); !excess.empty()) {
    Refuse(std::move(socket), command::ErrorCode::kBusy, excess);
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Create(loop_, std::move(socket), &settings_, this);
  if (absl::IsUnavailable(connection.status())) return absl::OkStatus();
  if (!connection.ok()) {
    LOG(WARNING) << connection.status().message() << ", connection dropped";
    return absl::OkStatus();
  }
  Connection* key = connection->get();
  connections_[key] = *std::move(connection);
  return absl::OkStatus();
}

void Agent::LogRefusal(const absl::Status& refusal) {
  const absl::Time now = clock_->Now();
  if (now < next_refusal_log_) {
    ++unlogged_refusals_;
    return;
  }
  LOG(WARNING) << "connection refused: " << refusal.message()
               << (unlogged_refusals_ == 0
                       ? ""
                       : absl::StrCat(" (and ", unlogged_refusals_,
                                      " others since the last message)"));
  next_refusal_log_ = now + kRefusalLogInterval;
  unlogged_refusals_ = 0;
}

std::string Agent::Excess() const {
  size_t handshakes = 0;
  size_t commands = 0;
  size_t ending = 0;
  for (const auto& [connection, owned] : connections_) {
    switch (connection->phase()) {
      case Connection::Phase::kHandshake:
        ++handshakes;
        break;
      case Connection::Phase::kCommand:
        ++commands;
        break;
      case Connection::Phase::kEnd:
        ++ending;
        break;
    }
  }
  if (commands >= max_commands_) {
    return absl::StrCat("too many commands run at the same time (", commands,
                        ")");
  }
  if (handshakes >= kMaxHandshakes || ending >= kMaxEnding) {
    return absl::StrCat("too many connections at the same time (",
                        connections_.size(), ")");
  }
  return "";
}

void Agent::Refuse(UniqueFd socket, command::ErrorCode code,
                   absl::string_view message) {
  std::string frame;
  command::AppendFrame(command::MakeError(code, message), &frame);
  // Much smaller than a socket's buffer, and nobody waits for it.
  (void)send(socket.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
}

void Agent::OnChild(Connection* connection, pid_t pid) {
  children_[pid] = connection;
}

void Agent::OnClosed(Connection* connection) {
  for (auto& [pid, owner] : children_) {
    if (owner == connection) owner = nullptr;
  }
  connections_.erase(connection);
}

absl::Status Agent::OnChildSignal() {
  // One signal may stand for many children.
  for (;;) {
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
      return absl::OkStatus();  // none left, or none that has ended
    }
    const auto child = children_.find(info.si_pid);
    if (child == children_.end()) continue;
    Connection* connection = child->second;
    children_.erase(child);
    if (connection == nullptr) continue;
    command::Exit exit;
    exit.how = info.si_code == CLD_EXITED ? command::Exit::How::kExited
                                          : command::Exit::How::kKilled;
    exit.value = static_cast<uint8_t>(info.si_status);
    VMSILO_RETURN_IF_ERROR(connection->OnChildExit(exit));
  }
}

}  // namespace vmsilo::agent
