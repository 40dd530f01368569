#include "console-relay/ring.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/socket.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::console_relay {
namespace {

using ::testing::HasSubstr;

Ring MakeRing(Bytes scrollback = KiB(4)) {
  absl::StatusOr<Ring> ring = Ring::Create(scrollback);
  EXPECT_THAT(ring, IsOk());
  return *std::move(ring);
}

SocketPair MakePair() {
  absl::StatusOr<SocketPair> pair = MakeSocketPair(SOCK_STREAM, SOCK_NONBLOCK);
  EXPECT_THAT(pair, IsOk());
  return *std::move(pair);
}

std::string Text(const Ring& ring, uint64_t position, size_t max) {
  const auto pieces = ring.Peek(position, max);
  return absl::StrCat(pieces[0], pieces[1]);
}

// A byte that tells its position, so that every shift is seen.
char ByteAt(uint64_t position) {
  return static_cast<char>((position * 0x9e3779b97f4a7c15ULL) >> 56);
}

std::string BytesAt(uint64_t position, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = ByteAt(position + i);
  return bytes;
}

// Where the bytes cease to be those from `position` on; nullopt if they are.
// Says what differs instead of all that is compared.
std::optional<std::string> Difference(absl::string_view bytes,
                                      uint64_t position) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != ByteAt(position + i)) {
      return absl::StrCat("byte ", position + i, ", the ", i, "th of ",
                          bytes.size());
    }
  }
  return std::nullopt;
}

// What is sent with `send` is what arrives.
void Receive(Ring* ring, absl::string_view bytes) {
  const SocketPair pair = MakePair();
  SendAll(pair.first.get(), bytes);
  EXPECT_THAT(ring->ReceiveFrom(pair.second.get()), IsOkAndHolds(bytes.size()));
}

struct Terminal {
  UniqueFd master;
  UniqueFd slave;
};

Terminal MakeTerminal() {
  Terminal terminal;
  terminal.master =
      UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_EQ(unlockpt(terminal.master.get()), 0);
  terminal.slave = UniqueFd(open(ptsname(terminal.master.get()),
                                 O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  termios settings = {};
  EXPECT_EQ(tcgetattr(terminal.slave.get(), &settings), 0);
  cfmakeraw(&settings);
  EXPECT_EQ(tcsetattr(terminal.slave.get(), TCSANOW, &settings), 0);
  return terminal;
}

std::string ReadTerminal(int slave) {
  std::string all;
  std::array<char, 4096> bytes;
  ssize_t size = 0;
  while ((size = read(slave, bytes.data(), bytes.size())) > 0) {
    all.append(bytes.data(), size);
  }
  return all;
}

TEST(RingTest, BeginsEmpty) {
  const Ring ring = MakeRing();
  EXPECT_EQ(ring.begin(), 0u);
  EXPECT_EQ(ring.end(), 0u);
  EXPECT_EQ(Text(ring, 0, 10), "");
  EXPECT_EQ(ring.capacity(), 4096u);
}

TEST(RingTest, RoundsItsSizeUpToPages) {
  EXPECT_EQ(MakeRing(Bytes(5000)).capacity(), 8192u);
}

TEST(RingTest, KeepsTheLastBytes) {
  Ring ring = MakeRing();
  for (uint64_t position = 0; position < 10000; position += 1000) {
    Receive(&ring, BytesAt(position, 1000));
  }
  EXPECT_EQ(ring.end(), 10000u);
  EXPECT_EQ(ring.begin(), 10000u - 4096);
  EXPECT_EQ(Text(ring, ring.begin(), 5000), BytesAt(ring.begin(), 4096));
  EXPECT_EQ(Text(ring, 9990, 5), BytesAt(9990, 5));
  EXPECT_EQ(Text(ring, ring.begin() - 1, 5), "");
  EXPECT_EQ(Text(ring, ring.end(), 5), "");
}

TEST(RingTest, TellsTheEndFromNothing) {
  Ring ring = MakeRing();
  SocketPair pair = MakePair();
  EXPECT_THAT(ring.ReceiveFrom(pair.second.get()),
              StatusIs(absl::StatusCode::kUnavailable));
  pair.first.Reset();
  EXPECT_THAT(ring.ReceiveFrom(pair.second.get()), IsOkAndHolds(0u));
}

TEST(RingTest, ReceivesNoMoreThanItHolds) {
  Ring ring = MakeRing();
  const SocketPair pair = MakePair();
  SendAll(pair.first.get(), BytesAt(0, 6000));
  EXPECT_THAT(ring.ReceiveFrom(pair.second.get()), IsOkAndHolds(4096u));
  EXPECT_THAT(ring.ReceiveFrom(pair.second.get()), IsOkAndHolds(1904u));
  EXPECT_EQ(Text(ring, ring.begin(), 5000), BytesAt(1904, 4096));
}

TEST(RingTest, GivesTheTerminalEverythingInOrder) {
  Ring ring = MakeRing();
  const Terminal terminal = MakeTerminal();
  std::string seen;
  for (uint64_t position = 0; position < 20000; position += 1000) {
    Receive(&ring, BytesAt(position, 1000));
    while (ring.terminal() < ring.end()) {
      ASSERT_THAT(ring.SendToTerminal(terminal.master.get(), 8192), IsOk());
      seen += ReadTerminal(terminal.slave.get());
    }
  }
  EXPECT_EQ(seen.size(), 20000u);
  EXPECT_EQ(Difference(seen, 0), std::nullopt);
  EXPECT_EQ(ring.terminal_lost(), 0u);
}

TEST(RingTest, CountsWhatTheTerminalLost) {
  Ring ring = MakeRing();
  const Terminal terminal = MakeTerminal();
  for (uint64_t position = 0; position < 10000; position += 1000) {
    Receive(&ring, BytesAt(position, 1000));
  }
  EXPECT_EQ(ring.SkipLost(), 10000u - 4096);
  EXPECT_EQ(ring.SkipLost(), 0u);
  EXPECT_EQ(ring.terminal_lost(), 10000u - 4096);
  while (ring.terminal() < ring.end()) {
    ASSERT_THAT(ring.SendToTerminal(terminal.master.get(), 8192), IsOk());
  }
  EXPECT_EQ(ReadTerminal(terminal.slave.get()), BytesAt(10000 - 4096, 4096));
}

TEST(RingTest, SaysWhenTheTerminalIsFull) {
  Ring ring = MakeRing(MiB(1));
  const Terminal terminal = MakeTerminal();
  for (uint64_t position = 0; position < 200000; position += 50000) {
    Receive(&ring, BytesAt(position, 50000));
  }
  absl::StatusOr<size_t> sent = 1;
  while (sent.ok()) sent = ring.SendToTerminal(terminal.master.get(), 8192);
  EXPECT_THAT(sent, StatusIs(absl::StatusCode::kUnavailable));
  const std::string taken = ReadTerminal(terminal.slave.get());
  EXPECT_EQ(Difference(taken, 0), std::nullopt);
  EXPECT_EQ(ring.terminal(), taken.size());
}

TEST(RingTest, RewindsTheTerminal) {
  Ring ring = MakeRing();
  const Terminal terminal = MakeTerminal();
  Receive(&ring, BytesAt(0, 100));
  EXPECT_THAT(ring.SendToTerminal(terminal.master.get(), 8192),
              IsOkAndHolds(100u));
  EXPECT_EQ(ring.terminal(), 100u);
  ring.RewindTerminal();
  EXPECT_EQ(ring.terminal(), 0u);
}

TEST(RingTest, IsAdoptedWithEverything) {
  Ring ring = MakeRing();
  Receive(&ring, BytesAt(0, 5000 - 1000));
  Receive(&ring, BytesAt(4000, 1000));
  ring.RewindTerminal();
  ring.counters().to_guest = 7;
  ring.SetLogMark({.position = 3, .file_size = 4});
  absl::StatusOr<Ring> adopted =
      Ring::Adopt(UniqueFd(fcntl(ring.fd(), F_DUPFD_CLOEXEC, 3)));
  ASSERT_THAT(adopted, IsOk());
  EXPECT_EQ(adopted->end(), 5000u);
  EXPECT_EQ(adopted->terminal(), 5000u - 4096);
  EXPECT_EQ(adopted->epoch(), ring.epoch());
  EXPECT_EQ(adopted->counters().to_guest, 7u);
  EXPECT_EQ(adopted->log_mark().position, 3u);
  EXPECT_EQ(adopted->log_mark().file_size, 4u);
  EXPECT_EQ(Text(*adopted, adopted->begin(), 5000), BytesAt(904, 4096));
}

TEST(RingTest, IsNotAdoptedFromAnythingElse) {
  EXPECT_THAT(Ring::Adopt(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC))),
              StatusIs(absl::StatusCode::kInvalidArgument));
  // Without seals it could be shrunk under us.
  UniqueFd unsealed(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(unsealed.get(), 8192), 0);
  EXPECT_THAT(Ring::Adopt(std::move(unsealed)),
              StatusIs(absl::StatusCode::kInvalidArgument));
  UniqueFd empty(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(empty.get(), 8192), 0);
  ASSERT_EQ(fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_THAT(
      Ring::Adopt(std::move(empty)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("version")));
}

// Whether nothing falls out of the ring by receiving.
bool HasRoom(const Ring& ring) {
  return ring.end() + kMaxReceiveBytes - ring.terminal() < ring.capacity();
}

// The promise that the whole design is for: killed at any moment, in the middle
// of system calls as well, the ring is exact.
TEST(RingTest, SurvivesTheDeathOfItsProcessAtAnyMoment) {
  constexpr int kDeaths = 300;
  std::mt19937 random(1);
  const Ring shared = MakeRing(KiB(256));
  const Terminal terminal = MakeTerminal();
  const SocketPair guest = MakePair();
  uint64_t sent = 0;
  std::string seen;
  uint64_t seen_before = 0;
  for (int death = 0; death < kDeaths; ++death) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      absl::StatusOr<Ring> ring = Ring::Adopt(UniqueFd(dup(shared.fd())));
      if (!ring.ok()) _exit(1);
      for (;;) {
        if (HasRoom(*ring)) (void)ring->ReceiveFrom(guest.second.get());
        (void)ring->SendToTerminal(terminal.master.get(), 4096);
      }
    }
    // Work for as long as fate wants it, measured in bytes and turns.
    const uint64_t turns = random() % 40;
    for (uint64_t turn = 0; turn < turns; ++turn) {
      const std::string bytes = BytesAt(sent, 1 + random() % 3000);
      const ssize_t size = send(guest.first.get(), bytes.data(), bytes.size(),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
      sent += static_cast<uint64_t>(std::max<ssize_t>(size, 0));
      seen += ReadTerminal(terminal.slave.get());
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    ASSERT_EQ(Difference(seen, seen_before), std::nullopt) << "death " << death;
    seen_before += seen.size();
    seen.clear();
  }
  // What is left.
  absl::StatusOr<Ring> ring = Ring::Adopt(UniqueFd(dup(shared.fd())));
  ASSERT_THAT(ring, IsOk());
  while (ring->end() < sent || ring->terminal() < ring->end()) {
    if (HasRoom(*ring)) (void)ring->ReceiveFrom(guest.second.get());
    (void)ring->SendToTerminal(terminal.master.get(), 4096);
    seen += ReadTerminal(terminal.slave.get());
  }
  seen += ReadTerminal(terminal.slave.get());
  EXPECT_EQ(Difference(seen, seen_before), std::nullopt);
  EXPECT_EQ(seen_before + seen.size(), sent);
  EXPECT_EQ(ring->terminal_lost(), 0u);
}

}  // namespace
}  // namespace vmsilo::console_relay
