#include "common/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

TEST(CheckSocketPathTest, AllowsTheLongestAndNoLonger) {
  EXPECT_THAT(CheckSocketPath(std::string(kMaxSocketPathBytes, 'x')), IsOk());
  EXPECT_THAT(CheckSocketPath(std::string(kMaxSocketPathBytes + 1, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("107")));
  EXPECT_FALSE(CheckSocketPath("").ok());
  EXPECT_FALSE(CheckSocketPath(std::string("a\0b", 3)).ok());
}

TEST(ListenUnixTest, ConnectsAndSetsTheMode) {
  TempDir dir;
  const std::string path = dir.Path("s");
  const auto listener = ListenUnix(path, 0600);
  ASSERT_THAT(listener, IsOk());
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_THAT(Accept(listener->get()),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(ConnectUnix(path), IsOk());
  EXPECT_THAT(Accept(listener->get()), IsOk());
}

TEST(ListenUnixTest, TakesTheLongestPath) {
  TempDir dir;
  const std::string path =
      dir.Path(std::string(kMaxSocketPathBytes - dir.path().size() - 1, 's'));
  ASSERT_EQ(path.size(), kMaxSocketPathBytes);
  EXPECT_THAT(ListenUnix(path, 0600), IsOk());
  EXPECT_THAT(ConnectUnix(path), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(ListenUnixTest, ReplacesAStaleSocketOnly) {
  TempDir dir;
  const std::string path = dir.Path("s");
  {
    const auto gone = ListenUnix(path, 0600);
    ASSERT_THAT(gone, IsOk());
  }
  const auto listener = ListenUnix(path, 0600);
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(ListenUnix(path, 0600),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(ConnectUnix(path), IsOk());
}

TEST(ListenUnixTest, LeavesAndNamesWhatIsNoSocket) {
  TempDir dir;
  dir.Write("file", "precious");
  ASSERT_EQ(mkdir(dir.Path("directory").c_str(), 0700), 0);
  ASSERT_EQ(symlink("nowhere", dir.Path("symbolic link").c_str()), 0);
  ASSERT_EQ(mkfifo(dir.Path("FIFO").c_str(), 0600), 0);
  for (const std::string kind :
       {"file", "directory", "symbolic link", "FIFO"}) {
    const std::string path = dir.Path(kind);
    EXPECT_THAT(ListenUnix(path, 0600),
                StatusIs(absl::StatusCode::kAlreadyExists,
                         HasSubstr(absl::StrCat("': there is a ", kind, ";"))));
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << kind;
  }
}

TEST(ConnectUnixTest, TellsAbsentFromRefusingAndFull) {
  TempDir dir;
  const std::string path = dir.Path("s");
  EXPECT_THAT(ConnectUnix(path), StatusIs(absl::StatusCode::kNotFound));
  const auto listener = ListenUnix(path, 0600, SOCK_STREAM, /*backlog=*/0);
  ASSERT_THAT(listener, IsOk());
  const auto first = ConnectUnix(path);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(ConnectUnix(path), StatusIs(absl::StatusCode::kUnavailable,
                                          HasSubstr("queue is full")));
}

}  // namespace
}  // namespace vmsilo
