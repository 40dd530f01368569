#include "console/testing/viewer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/socket.h"
#include "common/testing/status_matchers.h"
#include "common/unique_fd.h"
#include "console/limits.h"
#include "console/message.h"
#include "gtest/gtest.h"

namespace vmsilo::console {
namespace {

constexpr int kDeadlineMs = 20000;

}  // namespace

UniqueFd ConnectViewer(const std::string& socket) {
  absl::StatusOr<UniqueFd> viewer = ConnectUnix(socket, SOCK_SEQPACKET);
  EXPECT_THAT(viewer, IsOk());
  return viewer.ok() ? *std::move(viewer) : UniqueFd();
}

void SendPacket(const UniqueFd& viewer, const FromViewer& message) {
  const std::string packet = Encode(message);
  EXPECT_EQ(send(viewer.get(), packet.data(), packet.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(packet.size()));
}

absl::StatusOr<FromRelay> ReceivePacket(const UniqueFd& viewer) {
  static std::array<char, kMaxMessageBytes> packet;
  pollfd waiting = {.fd = viewer.get(), .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, kDeadlineMs) != 1) {
    return absl::DeadlineExceededError("no packet");
  }
  const ssize_t size = recv(viewer.get(), packet.data(), packet.size(), 0);
  if (size <= 0) return absl::UnavailableError("the relay has hung up");
  return DecodeFromRelay(absl::string_view(packet.data(), size));
}

Attached AttachViewer(const UniqueFd& viewer, const Attach& attach) {
  SendPacket(viewer, attach);
  absl::StatusOr<FromRelay> answer = ReceivePacket(viewer);
  EXPECT_THAT(answer, IsOk());
  if (!answer.ok()) return {};
  const auto* attached = std::get_if<Attached>(&*answer);
  EXPECT_NE(attached, nullptr);
  return attached != nullptr ? *attached : Attached{};
}

std::string ReceiveOutput(const UniqueFd& viewer, size_t size) {
  std::string all;
  while (all.size() < size) {
    absl::StatusOr<FromRelay> message = ReceivePacket(viewer);
    EXPECT_THAT(message, IsOk());
    if (!message.ok()) break;
    if (const auto* output = std::get_if<Output>(&*message)) {
      absl::StrAppend(&all, output->bytes);
    }
  }
  return all;
}

Status AskStatus(const UniqueFd& viewer) {
  SendPacket(viewer, StatusRequest{});
  for (;;) {
    absl::StatusOr<FromRelay> message = ReceivePacket(viewer);
    EXPECT_THAT(message, IsOk());
    if (!message.ok()) return {};
    if (const auto* status = std::get_if<Status>(&*message)) return *status;
  }
}

}  // namespace vmsilo::console
