#include "common/testing/notify_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/testing/stream.h"
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
  pollfd entry = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
  const int wait = static_cast<int>(absl::ToInt64Milliseconds(kStreamDeadline));
  std::array<char, 4096> text;
  ssize_t size = -1;
  if (poll(&entry, 1, wait) == 1) {
    size = recv(fd_.get(), text.data(), text.size(), 0);
  }
  if (size < 0) {
    ADD_FAILURE() << "no notification within " << kStreamDeadline;
    return "";
  }
  return std::string(text.data(), static_cast<size_t>(size));
}

}  // namespace vmsilo
