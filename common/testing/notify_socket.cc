#include "common/testing/notify_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace vmsilo {

NotifySocket::NotifySocket(std::string path)
    : path_(std::move(path)),
      fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address),
                 sizeof(address)),
            0)
      << path_ << ": " << strerror(errno);
}

std::string NotifySocket::Next() {
  const int wait = static_cast<int>(absl::ToInt64Milliseconds(kStreamDeadline));
  if (!IsWaiting(wait)) {
    ADD_FAILURE() << "no notification within " << kStreamDeadline;
    return "";
  }
  return Take();
}

void NotifySocket::WaitFor(absl::string_view text) {
  for (;;) {
    const std::string message = Next();
    if (absl::StrContains(message, text)) return;
    if (message.empty()) {
      ADD_FAILURE() << "no " << text;
      return;
    }
  }
}

void NotifySocket::TakeAll() {
  while (IsWaiting(0)) (void)Take();
}

bool NotifySocket::IsWaiting(int timeout_ms) const {
  pollfd entry = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return poll(&entry, 1, timeout_ms) == 1;
}

std::string NotifySocket::Take() {
  std::array<char, 4096> text;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control;
  iovec piece = {text.data(), text.size()};
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  if (size < 0) {
    ADD_FAILURE() << path_ << ": " << strerror(errno);
    return "";
  }
  UniqueFd fd;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int received = -1;
    memcpy(&received, CMSG_DATA(header), sizeof(received));
    fd = UniqueFd(received);
  }
  const std::string words(text.data(), static_cast<size_t>(size));
  std::string name;
  bool is_removed = false;
  for (absl::string_view line : absl::StrSplit(words, '\n')) {
    if (absl::ConsumePrefix(&line, "FDNAME=")) name = std::string(line);
    if (line == "FDSTOREREMOVE=1") is_removed = true;
  }
  if (is_removed) stored_.erase(name);
  if (fd.is_valid()) stored_[name] = std::move(fd);
  return words;
}

}  // namespace vmsilo
