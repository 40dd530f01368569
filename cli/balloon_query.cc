#include "cli/balloon_query.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloon/limits.h"
#include "balloon/message.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::cli {

absl::Status BalloonQuery::Start(const std::string& socket,
                                 const balloon::Request& request,
                                 absl::Duration deadline) {
  is_watch_ = std::holds_alternative<balloon::WatchRequest>(request);
  absl::StatusOr<UniqueFd> connection = ConnectUnix(socket);
  if (!connection.ok()) {
    // No socket: no daemon.
    Finish(absl::IsNotFound(connection.status())
               ? absl::UnavailableError(connection.status().message())
               : connection.status());
    return absl::OkStatus();
  }
  connection_ = *std::move(connection);
  // A new connection has room for more than a request. One that the daemon has
  // refused already is read all the same: it says why.
  const std::string text = balloon::Encode(request);
  if (send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0 &&
      errno != EPIPE && errno != ECONNRESET) {
    Finish(ErrnoStatus("ask the memory daemon"));
    return absl::OkStatus();
  }
  VMSILO_ASSIGN_OR_RETURN(timer_, loop_->AddTimer(deadline, [this] {
    Finish(absl::DeadlineExceededError("it does not answer"));
    return absl::OkStatus();
  }));
  VMSILO_ASSIGN_OR_RETURN(
      source_, loop_->AddIo(connection_.get(), EPOLLIN,
                            [this](uint32_t) { return OnReadable(); }));
  return absl::OkStatus();
}

absl::Status BalloonQuery::OnReadable() {
  std::array<char, 16384> buffer;
  const ssize_t size =
      recv(connection_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (size <= 0) {
    Finish(absl::UnavailableError("it has hung up"));
    return absl::OkStatus();
  }
  received_.append(buffer.data(), static_cast<size_t>(size));
  while (connection_.is_valid()) {
    const size_t end = received_.find('\n');
    if (end == std::string::npos) {
      if (received_.size() > balloon::kMaxAnswerBytes) {
        Finish(absl::InternalError("it answers at too great length"));
      }
      break;
    }
    const std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    OnLine(line);
  }
  return absl::OkStatus();
}

void BalloonQuery::OnLine(const std::string& line) {
  absl::StatusOr<balloon::Answer> answer = balloon::DecodeAnswer(line);
  if (!answer.ok() || !is_watch_) return Finish(std::move(answer));
  timer_.Reset();
  on_answer_(std::move(answer));
}

void BalloonQuery::Finish(absl::StatusOr<balloon::Answer> answer) {
  timer_.Reset();
  source_.Reset();
  connection_.Reset();
  on_answer_(std::move(answer));
}

}  // namespace vmsilo::cli
