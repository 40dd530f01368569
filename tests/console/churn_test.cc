// A console's relay while people come and go as fast as they can, and guests
// and people die at any moment: who stays sees every byte.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/file.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "console/message.h"
#include "console/testing/viewer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/console/fixture.h"

namespace vmsilo {
namespace {

using ::testing::StartsWith;

class ChurnTest : public ConsoleTest {
 protected:
  UniqueFd ConnectViewer() {
    return console::ConnectViewer(dir_.Path("viewers"));
  }

  UniqueFd OpenTerminal() {
    absl::StatusOr<UniqueFd> terminal =
        Open(dir_.Path("console"), O_RDWR | O_NOCTTY);
    EXPECT_THAT(terminal, IsOk());
    return *std::move(terminal);
  }

  ptrdiff_t CountRelayFds() const {
    return std::distance(std::filesystem::directory_iterator(
                             absl::StrCat("/proc/", relay_->pid(), "/fd")),
                         {});
  }

  // The next `size` bytes of a guest that counts, so that any byte that is
  // missing, doubled or in the wrong place shows.
  std::string NextOutput(size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
      absl::StrAppendFormat(&bytes, "%08d\n", next_number_++);
    }
    return bytes;
  }

 private:
  int next_number_ = 0;
};

TEST_F(ChurnTest, HundredsOfVisitsLeaveNothingBehindAndDisturbNobody) {
  const UniqueFd guest = ConnectGuest();
  const UniqueFd steady = ConnectViewer();
  console::AttachViewer(steady, {});
  const UniqueFd asker = ConnectViewer();
  console::AskStatus(asker);
  const ptrdiff_t fds = CountRelayFds();

  for (int visit = 0; visit < 300; ++visit) {
    const std::string flood = NextOutput(30000);
    SendAll(guest.get(), flood);
    {
      const UniqueFd viewer = ConnectViewer();
      // Some leave before they have said anything, some at once after it, and
      // some have taken a part of the scrollback.
      if (visit % 3 > 0) {
        console::SendPacket(viewer, console::Attach{});
      }
      if (visit % 3 > 1) {
        EXPECT_THAT(console::ReceivePacket(viewer), IsOk());
      }
      const UniqueFd terminal = OpenTerminal();
      if (visit % 10 == 0) {
        EXPECT_EQ(ReadExactly(terminal.get(), 1000).size(), 1000u);
      }
    }
    ASSERT_TRUE(console::ReceiveOutput(steady, flood.size()) == flood);
  }

  // Each answer means that the relay's loop has gone round; that it counts the
  // terminal's users again takes a timer, and that a descriptor, for 200 ms.
  console::Status status;
  for (int i = 0; i < 100000; ++i) {
    status = console::AskStatus(asker);
    if (!status.is_terminal_open && CountRelayFds() == fds) break;
  }
  EXPECT_EQ(CountRelayFds(), fds);
  EXPECT_FALSE(status.is_terminal_open);
  EXPECT_EQ(status.viewers, 1u);
  EXPECT_EQ(status.guest_connections, 1u);
}

TEST_F(ChurnTest, NoByteOfAGuestIsLostWhenItDiesOrWhenWhoTypesDies) {
  constexpr uint32_t kSeed = 20261123;
  std::mt19937 random(kSeed);
  const UniqueFd steady = ConnectViewer();
  console::AttachViewer(steady, {});
  UniqueFd writer = ConnectViewer();
  console::AttachViewer(writer, {.role = console::Role::kWriter});
  const std::string typed(1000, 'k');
  for (int boot = 0; boot < 200; ++boot) {
    UniqueFd guest = ConnectGuest();
    // It dies with input that it has not read, which resets the connection.
    for (uint32_t keys = random() % 4; keys > 0; --keys) {
      console::SendPacket(writer, console::Input{.bytes = typed});
    }
    if (random() % 3 == 0) {
      writer = ConnectViewer();
      console::SendPacket(
          writer,
          console::Attach{.role = console::Role::kWriter, .takes_over = true});
    }
    const std::string output = NextOutput(1 + random() % 50000);
    SendAll(guest.get(), output);
    guest.Reset();
    ASSERT_TRUE(console::ReceiveOutput(steady, output.size()) == output)
        << "boot " << boot;
  }
  EXPECT_EQ(console::AskStatus(ConnectViewer()).guest_connections, 200u);
}

TEST_F(ChurnTest, AClientThatIsKilledIsInNobodysWay) {
  constexpr uint32_t kSeed = 20261124;
  std::mt19937 random(kSeed);
  const UniqueFd guest = ConnectGuest();
  const UniqueFd steady = ConnectViewer();
  console::AttachViewer(steady, {});
  std::string last;  // what the last client typed, and the guest has not read
  for (int visit = 0; visit < 30; ++visit) {
    ChildProcess client = ChildProcess::Start({.argv = Client()});
    std::string typed;
    for (int i = 0; i < 4000; ++i) {
      absl::StrAppendFormat(&typed, "%d.%04d ", visit, i);
    }
    client.Write(absl::StrCat("\n", typed));
    // As much of it as the relay had taken, and nothing twice.
    const std::string rest = ReadUntil(guest.get(), "\n");
    EXPECT_THAT(last, StartsWith(rest.substr(0, rest.size() - 1)));

    const std::string output = NextOutput(1 + random() % 50000);
    SendAll(guest.get(), output);
    const size_t size = random() % typed.size();
    ASSERT_EQ(ReadExactly(guest.get(), size), typed.substr(0, size));
    last = typed.substr(size);
    client.Signal(SIGKILL);
    EXPECT_EQ(client.Wait().signal, SIGKILL);
    ASSERT_TRUE(console::ReceiveOutput(steady, output.size()) == output);
    AwaitNoWriter();
  }
  EXPECT_EQ(console::AskStatus(steady).viewers, 1u);
}

}  // namespace
}  // namespace vmsilo
