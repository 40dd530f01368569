#include "common/notify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/socket.h"
#include "common/testing/notify_socket.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

TEST(NotifyTest, SpeaksToTheManagersSocket) {
  TempDir dir;
  NotifySocket manager(dir.Path("notify"));
  setenv("NOTIFY_SOCKET", manager.path().c_str(), 1);
  NotifyReady();
  NotifyStatus("two\nlines");
  unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(manager.Next(), "READY=1");
  EXPECT_EQ(manager.Next(), "STATUS=two\\nlines");
}

TEST(NotifyTest, HasTheManagerKeepDescriptorsUntilItIsToldToForgetThem) {
  TempDir dir;
  NotifySocket manager(dir.Path("notify"));
  setenv("NOTIFY_SOCKET", manager.path().c_str(), 1);
  const UniqueFd kept(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd other(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  StoreFd(kept.get(), "kept");
  StoreFd(other.get(), "other");
  ForgetStoredFd("other");
  unsetenv("NOTIFY_SOCKET");
  // Without the second line, one that hangs up would be dropped.
  EXPECT_EQ(manager.Next(), "FDSTORE=1\nFDPOLL=0\nFDNAME=kept");
  manager.WaitFor("FDNAME=other");
  EXPECT_THAT(manager.stored(), ElementsAre(Key("kept"), Key("other")));
  manager.TakeAll();
  ASSERT_THAT(manager.stored(), ElementsAre(Key("kept")));
  struct stat before = {};
  struct stat after = {};
  ASSERT_EQ(fstat(kept.get(), &before), 0);
  ASSERT_EQ(fstat(manager.stored().at("kept").get(), &after), 0);
  EXPECT_EQ(after.st_rdev, before.st_rdev);
}

TEST(TakeInheritedFdsTest, IsEmptyWithoutAManager) {
  unsetenv("LISTEN_FDS");
  const auto fds = TakeInheritedFds();
  ASSERT_THAT(fds, IsOk());
  EXPECT_TRUE(fds->empty());
}

TEST(TakeInheritedFdsTest, TakesNamesAndSetsCloseOnExec) {
  // In a child: the numbers are fixed, and the test's own may be in use.
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    bool ok = dup2(open("/dev/null", O_RDONLY), 3) == 3;
    setenv("LISTEN_PID", absl::StrCat(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", "console", 1);
    const auto fds = TakeInheritedFds();
    ok = ok && fds.ok() && fds->size() == 1 && (*fds)[0].name == "console" &&
         (*fds)[0].fd.get() == 3 && fcntl(3, F_GETFD) == FD_CLOEXEC &&
         getenv("LISTEN_FDS") == nullptr;
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(CheckUnixSocketTest, KnowsListenersFromConnections) {
  TempDir dir;
  const auto listener = ListenUnix(dir.Path("s"), 0600);
  ASSERT_THAT(listener, IsOk());
  const int fd = listener->get();
  EXPECT_THAT(CheckUnixSocket(fd, SOCK_STREAM, true, "it"), IsOk());
  EXPECT_THAT(
      CheckUnixSocket(fd, SOCK_STREAM, false, "it"),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("connected")));
  EXPECT_FALSE(CheckUnixSocket(fd, SOCK_SEQPACKET, true, "it").ok());
  EXPECT_FALSE(CheckUnixSocket(0, SOCK_STREAM, true, "it").ok());
}

}  // namespace
}  // namespace vmsilo
