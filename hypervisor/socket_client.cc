#include "hypervisor/socket_client.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
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
#include "common/status.h"
#include "common/unique_fd.h"

namespace vmsilo::hypervisor {
namespace {

// One read. A packet must fit whole: crosvm's longest answer has less than a
// kilobyte, and what its kernel buffer holds at most is 212960 bytes.
constexpr size_t kReceiveBytes = 256 * 1024;

// A queue of connections empties within one turn of the peer's loop.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(50);

// No answer has descriptors; whatever comes is closed. The kernel passes at
// most 253 at once (SCM_MAX_FD).
constexpr size_t kControlBytes = CMSG_SPACE(253 * sizeof(int));

void CloseReceivedFds(msghdr* message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      close(fd);
    }
  }
}

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
  if (calls_.empty() || connection_.is_valid()) return;
  Call* call = calls_.front().get();
  if (!call->deadline.is_active()) {
    Finish(call, absl::InternalError("cannot set a timer"));
    return;
  }
  absl::StatusOr<UniqueFd> connection = connect_();
  if (!connection.ok()) {
    if (connection.status().code() == absl::StatusCode::kResourceExhausted) {
      ScheduleBegin(kRetryInterval);
    } else {
      Finish(call, connection.status());
    }
    return;
  }
  connection_ = *std::move(connection);
  unsent_ = call->conversation->Begin();
  resets_ = 0;
  absl::StatusOr<Source> io = loop_->AddIo(
      connection_.get(), unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT,
      [this](uint32_t) { return OnIo(); });
  if (!io.ok()) {
    Finish(call, io.status());
    return;
  }
  io_source_ = *std::move(io);
}

absl::Status SocketClient::OnIo() {
  // What the peer has said comes first: a peer that refuses says so and
  // closes, and writing to it would only fail.
  if (!ReceiveOnce()) return absl::OkStatus();
  Send();
  return io_source_.SetEvents(unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void SocketClient::Send() {
  while (!unsent_.empty()) {
    const ssize_t n =
        send(connection_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    // Another failure shows when reading, with what the peer said last.
    unsent_.erase(0, n < 0 ? unsent_.size() : static_cast<size_t>(n));
  }
}

bool SocketClient::ReceiveOnce() {
  Call* call = calls_.front().get();
  auto buffer = std::make_unique<char[]>(kReceiveBytes);
  alignas(cmsghdr) char control[kControlBytes];
  iovec vector = {.iov_base = buffer.get(), .iov_len = kReceiveBytes};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n =
      recvmsg(connection_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return true;
    // A reset comes before an answer that is in the queue already: look once
    // more.
    if (errno == ECONNRESET && resets_++ == 0) return true;
  } else {
    CloseReceivedFds(&message);
  }
  if (n <= 0) {
    const absl::Status end = call->conversation->ReceiveEnd();
    if (end.ok()) {
      Finish(call, call->conversation->status());
    } else {
      Finish(call, end);
    }
    return false;
  }
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    Finish(call, absl::DataLossError("an answer that is too long"));
    return false;
  }
  const absl::StatusOr<Conversation::Step> step = call->conversation->Receive(
      absl::string_view(buffer.get(), static_cast<size_t>(n)));
  if (!step.ok()) {
    Finish(call, step.status());
    return false;
  }
  unsent_ += step->send;
  if (step->is_done) {
    Finish(call, call->conversation->status());
    return false;
  }
  return true;
}

void SocketClient::OnDeadline(Call* call, absl::Duration after) {
  Finish(call, absl::DeadlineExceededError(absl::StrCat(
                   "no answer within ", absl::FormatDuration(after))));
}

void SocketClient::Finish(Call* call, absl::StatusOr<VmStatus> result) {
  if (calls_.front().get() == call) {
    // Closed even if the peer is to answer yet: its answer dies with it.
    begin_source_.Reset();
    io_source_.Reset();
    connection_.Reset();
    unsent_.clear();
  }
  const auto position =
      std::find_if(calls_.begin(), calls_.end(),
                   [call](const auto& other) { return other.get() == call; });
  const std::unique_ptr<Call> ended = std::move(*position);
  calls_.erase(position);
  if (!connection_.is_valid()) ScheduleBegin(absl::ZeroDuration());
  ended->done(std::move(result));
}

}  // namespace vmsilo::hypervisor
