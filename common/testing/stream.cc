#include "common/testing/stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

bool WaitFor(int fd, short events, absl::Duration span) {
  const absl::Time end = absl::Now() + span;
  for (;;) {
    pollfd entry = {.fd = fd, .events = events};
    const int left = static_cast<int>(
        std::max<int64_t>(absl::ToInt64Milliseconds(end - absl::Now()), 0));
    const int count = poll(&entry, 1, left);
    if (count >= 0 || errno != EINTR) return count > 0;
  }
}

// Bytes read, 0 at the end or after a failure that was reported.
size_t ReadSome(int fd, char* buffer, size_t size) {
  for (;;) {
    if (!WaitFor(fd, POLLIN, kStreamDeadline)) {
      ADD_FAILURE() << "nothing to read within " << kStreamDeadline;
      return 0;
    }
    const ssize_t count = read(fd, buffer, size);
    if (count >= 0) return static_cast<size_t>(count);
    // A reset is an end; what was to come is the test's business.
    if (errno == ECONNRESET || errno == EIO) return 0;
    if (errno != EINTR && errno != EAGAIN) {
      ADD_FAILURE() << "read: " << strerror(errno);
      return 0;
    }
  }
}

}  // namespace

void SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    if (!WaitFor(fd, POLLOUT, kStreamDeadline)) {
      ADD_FAILURE() << "no room to write within " << kStreamDeadline;
      return;
    }
    const ssize_t count =
        send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      ADD_FAILURE() << "send: " << strerror(errno);
      return;
    }
  }
}

std::string ReadExactly(int fd, size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const size_t count = ReadSome(fd, bytes.data() + have, size - have);
    if (count == 0) break;
    have += count;
  }
  bytes.resize(have);
  return bytes;
}

std::string ReadToEnd(int fd) {
  std::string bytes;
  char buffer[65536];
  while (const size_t count = ReadSome(fd, buffer, sizeof(buffer))) {
    bytes.append(buffer, count);
  }
  return bytes;
}

std::string ReadUntil(int fd, absl::string_view end) {
  std::string bytes;
  char byte = 0;
  while (!absl::EndsWith(bytes, end) && ReadSome(fd, &byte, 1) == 1) {
    bytes.push_back(byte);
  }
  return bytes;
}

UniqueFd AcceptOne(int listener) {
  if (!WaitFor(listener, POLLIN, kStreamDeadline)) {
    ADD_FAILURE() << "no connection within " << kStreamDeadline;
    return UniqueFd();
  }
  UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(fd.is_valid()) << strerror(errno);
  return fd;
}

bool IsSilentFor(int fd, absl::Duration span) {
  return !WaitFor(fd, POLLIN, span);
}

}  // namespace vmsilo
