#include "hypervisor/connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::hypervisor {
namespace {

// The kernel passes at most 253 descriptors at once (SCM_MAX_FD).
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

Connection::Connection(UniqueFd fd, Handler handler)
    : fd_(std::move(fd)), handler_(std::move(handler)) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Create(
    EventLoop* loop, UniqueFd fd, Handler handler) {
  std::unique_ptr<Connection> connection(
      new Connection(std::move(fd), std::move(handler)));
  Connection* self = connection.get();
  VMSILO_ASSIGN_OR_RETURN(
      connection->source_,
      loop->AddIo(connection->fd_.get(), EPOLLIN, [self](uint32_t events) {
        self->OnIo(events);
        return absl::OkStatus();
      }));
  return connection;
}

void Connection::OnIo(uint32_t events) {
  if ((events & EPOLLOUT) != 0) SendQueued();
  if ((events & ~uint32_t{EPOLLOUT}) != 0) Receive();
}

void Connection::Send(std::string bytes) {
  if (bytes.empty()) return;
  absl::string_view rest = bytes;
  if (unsent_.empty() && SendSome(&rest)) return;
  if (rest.size() == bytes.size()) {
    unsent_.push_back(std::move(bytes));
  } else {
    unsent_.emplace_back(rest);
  }
  UpdateEvents();
}

bool Connection::SendSome(absl::string_view* bytes) {
  while (!bytes->empty()) {
    const ssize_t n =
        send(fd_.get(), bytes->data(), bytes->size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return false;
    bytes->remove_prefix(n < 0 ? bytes->size() : static_cast<size_t>(n));
  }
  return true;
}

void Connection::SendQueued() {
  while (!unsent_.empty()) {
    absl::string_view rest = unsent_.front();
    if (!SendSome(&rest)) {
      unsent_.front().erase(0, unsent_.front().size() - rest.size());
      break;
    }
    unsent_.pop_front();
  }
  UpdateEvents();
}

void Connection::UpdateEvents() {
  if (!source_.is_active() || wants_room_ == !unsent_.empty()) return;
  wants_room_ = !unsent_.empty();
  // Should it fail, nothing is sent, and the caller's deadline ends it.
  (void)source_.SetEvents(wants_room_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::Receive() {
  const Handler handler = handler_;  // it may destroy us
  char buffer[kReceiveBytes];
  alignas(cmsghdr) char control[kControlBytes];
  iovec vector = {.iov_base = buffer, .iov_len = sizeof(buffer)};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n =
      recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    // A reset comes before an answer that is in the queue already: look once
    // more.
    if (errno == ECONNRESET && !std::exchange(was_reset_, true)) return;
  } else {
    CloseReceivedFds(&message);
  }
  if (n <= 0) {
    // What has ended stays readable for ever.
    source_.Reset();
    handler(absl::string_view());
    return;
  }
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    source_.Reset();
    handler(absl::DataLossError(
        absl::StrCat("a message of more than ", kReceiveBytes, " bytes")));
    return;
  }
  handler(absl::string_view(buffer, static_cast<size_t>(n)));
}

}  // namespace vmsilo::hypervisor
