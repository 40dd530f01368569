#include "cli/console_query.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "console/limits.h"
#include "console/message.h"

namespace vmsilo::cli {

absl::Status ConsoleQuery::Start(const std::string& socket,
                                 absl::Duration deadline) {
  absl::StatusOr<UniqueFd> connection = ConnectUnix(socket, SOCK_SEQPACKET);
  if (!connection.ok()) {
    Finish(connection.status());
    return absl::OkStatus();
  }
  connection_ = *std::move(connection);
  const std::string request = console::Encode(console::StatusRequest{});
  if (send(connection_.get(), request.data(), request.size(), MSG_NOSIGNAL) <
      0) {
    Finish(ErrnoStatus("ask the console's relay"));
    return absl::OkStatus();
  }
  VMSILO_ASSIGN_OR_RETURN(timer_, loop_->AddTimer(deadline, [this] {
    Finish(absl::DeadlineExceededError("it does not answer"));
    return absl::OkStatus();
  }));
  VMSILO_ASSIGN_OR_RETURN(
      source_, loop_->AddIo(connection_.get(), EPOLLIN,
                            [this](uint32_t) { return OnPacket(); }));
  return absl::OkStatus();
}

absl::Status ConsoleQuery::OnPacket() {
  std::array<char, console::kMaxMessageBytes> packet;
  const ssize_t size =
      recv(connection_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
  if (size <= 0) {
    Finish(absl::UnavailableError("it has hung up"));
    return absl::OkStatus();
  }
  const absl::StatusOr<console::FromRelay> message = console::DecodeFromRelay(
      absl::string_view(packet.data(), static_cast<size_t>(size)));
  if (!message.ok()) {
    Finish(message.status());
  } else if (const auto* status = std::get_if<console::Status>(&*message)) {
    Finish(*status);
  } else if (const auto* error = std::get_if<console::Error>(&*message)) {
    Finish(absl::ResourceExhaustedError(Escaped(error->message)));
  } else {
    Finish(absl::InternalError("it answers something else"));
  }
  return absl::OkStatus();
}

void ConsoleQuery::Finish(absl::StatusOr<console::Status> answer) {
  timer_.Reset();
  source_.Reset();
  connection_.Reset();
  done_(std::move(answer));
}

}  // namespace vmsilo::cli
