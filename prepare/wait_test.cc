#include "prepare/wait.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::prepare {
namespace {

using ::testing::HasSubstr;

class WaitForSocketTest : public ::testing::Test {
 protected:
  WaitForSocketTest() : loop_(*SdEventLoop::Create()) {}

  // Does something a moment after the waiting has begun.
  void Later(EventLoop::Handler what) {
    auto timer = loop_->AddTimer(absl::Milliseconds(20), std::move(what));
    ASSERT_THAT(timer, IsOk());
    later_ = *std::move(timer);
  }

  absl::Status Wait(const std::string& path,
                    absl::Duration timeout = absl::Seconds(10),
                    int type = SOCK_STREAM) {
    return WaitForSocket(loop_.get(),
                         {.path = path, .type = type, .timeout = timeout});
  }

  TempDir dir_;
  std::unique_ptr<SdEventLoop> loop_;
  UniqueFd listener_;
  Source later_;
};

TEST_F(WaitForSocketTest, OneThatIsThere) {
  const std::string path = dir_.Path("s");
  listener_ = *ListenUnix(path, 0600);
  EXPECT_THAT(Wait(path), IsOk());
}

TEST_F(WaitForSocketTest, OneThatComes) {
  const std::string path = dir_.Path("s");
  Later([&] {
    listener_ = *ListenUnix(path, 0600);
    return absl::OkStatus();
  });
  EXPECT_THAT(Wait(path), IsOk());
}

TEST_F(WaitForSocketTest, OneInDirectoriesThatCome) {
  const std::string path = dir_.Path("a/b/s");
  Later([&] {
    mkdir(dir_.Path("a").c_str(), 0755);
    mkdir(dir_.Path("a/b").c_str(), 0755);
    listener_ = *ListenUnix(path, 0600, SOCK_SEQPACKET);
    return absl::OkStatus();
  });
  EXPECT_THAT(Wait(path, absl::Seconds(10), SOCK_SEQPACKET), IsOk());
}

TEST_F(WaitForSocketTest, OneWithoutAListenerYet) {
  const std::string path = dir_.Path("s");
  const UniqueFd bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(
      bind(bound.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  Later([&] {
    EXPECT_EQ(listen(bound.get(), 1), 0);
    return absl::OkStatus();
  });
  EXPECT_THAT(Wait(path), IsOk());
}

TEST_F(WaitForSocketTest, OneThatReplacesAStaleFile) {
  const std::string path = dir_.Path("s");
  { const UniqueFd gone = *ListenUnix(path, 0600); }
  Later([&] {
    listener_ = *ListenUnix(path, 0600);
    return absl::OkStatus();
  });
  EXPECT_THAT(Wait(path), IsOk());
}

TEST_F(WaitForSocketTest, GivesUpAfterTheTimeout) {
  EXPECT_THAT(
      Wait(dir_.Path("never"), absl::Milliseconds(30)),
      StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("never")));
}

TEST_F(WaitForSocketTest, GivesUpWhenTheProcessEnds) {
  ChildProcess child = ChildProcess::Start({.argv = {"/bin/cat"}});
  Later([&] {
    child.CloseStdin();
    return absl::OkStatus();
  });
  EXPECT_THAT(WaitForSocket(loop_.get(), {.path = dir_.Path("never"),
                                          .type = SOCK_STREAM,
                                          .timeout = absl::Seconds(10),
                                          .pid = child.pid()}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("ended")));
}

TEST_F(WaitForSocketTest, LooksWithoutConnecting) {
  const std::string path = dir_.Path("s");
  Later([&] {
    listener_ = *ListenUnix(path, 0600);
    return absl::OkStatus();
  });
  EXPECT_THAT(WaitForSocket(loop_.get(), {.path = path,
                                          .type = SOCK_STREAM,
                                          .timeout = absl::Seconds(10),
                                          .connects = false}),
              IsOk());
  // Nobody has knocked.
  EXPECT_EQ(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK), -1);
  EXPECT_THAT(WaitForSocket(loop_.get(), {.path = dir_.Write("file", ""),
                                          .type = SOCK_STREAM,
                                          .timeout = absl::Seconds(10),
                                          .connects = false}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(IsListeningTest, ReadsTheKernelsTable) {
  constexpr absl::string_view kTable =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 20411 /run/a\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03   204 /run/b\n"
      "0000000000000000: 00000002 00000000 00010000 0005 01     5 /run/c d\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01     6\n"
      "0000000000000000: 00000002 00000000 0001000x 0001 01     7 /run/e\n"
      "rubbish /run/f\n";
  EXPECT_TRUE(IsListening(kTable, "/run/a"));
  EXPECT_FALSE(IsListening(kTable, "/run/b"));
  EXPECT_TRUE(IsListening(kTable, "/run/c d"));
  EXPECT_FALSE(IsListening(kTable, "/run/e"));
  EXPECT_FALSE(IsListening(kTable, "/run/f"));
  EXPECT_FALSE(IsListening(kTable, "/run/"));
  EXPECT_FALSE(IsListening("", "/run/a"));
}

TEST_F(WaitForSocketTest, RefusesAPathThatIsNone) {
  EXPECT_THAT(Wait("relative"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Wait(dir_.Write("file", "")),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace vmsilo::prepare
