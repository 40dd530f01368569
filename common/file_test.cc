#include "common/file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

size_t EntriesIn(const std::string& path) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    (void)entry;
    ++count;
  }
  return count;
}

TEST(SplitPathTest, CutsBeforeTheLastComponent) {
  struct Case {
    const char* path;
    const char* directory;
    const char* name;
  };
  for (const Case& one :
       {Case{"/a/b", "/a", "b"}, Case{"/b", "/", "b"}, Case{"a/b", "a", "b"},
        Case{"b", ".", "b"}, Case{"/a/", "/a", ""}, Case{"/", "/", ""},
        Case{"", ".", ""}, Case{"/a//b", "/a/", "b"},
        Case{"a/..", "a", ".."}}) {
    const PathParts parts = SplitPath(one.path);
    EXPECT_EQ(parts.directory, one.directory) << one.path;
    EXPECT_EQ(parts.name, one.name) << one.path;
  }
}

TEST(ReadFileTest, ReadsUpToTheLimitAndNotBeyond) {
  TempDir dir;
  const std::string path = dir.Write("f", std::string(10000, 'x'));
  EXPECT_THAT(ReadFile(path, 10000), IsOkAndHolds(std::string(10000, 'x')));
  EXPECT_THAT(
      ReadFile(path, 9999),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("9999 bytes")));
  EXPECT_THAT(ReadFile(dir.Write("empty", ""), 0), IsOkAndHolds(""));
}

TEST(ReadFileTest, ReadsFilesThatHaveNoSize) {
  EXPECT_THAT(ReadFile("/proc/self/comm", 64), IsOk());
}

TEST(ReadFileTest, NamesWhatIsMissing) {
  EXPECT_THAT(
      ReadFile("/nowhere/at all", 1),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("'/nowhere/at all'")));
}

TEST(OpenBeneathTest, StaysBelowAndFollowsNoLink) {
  TempDir dir;
  dir.Write("in/file", "inside");
  dir.Write("out", "outside");
  std::filesystem::create_symlink("../out", dir.Path("in/link"));
  const auto in = Open(dir.Path("in"), O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(in, IsOk());
  EXPECT_THAT(OpenBeneath(in->get(), "file", O_RDONLY), IsOk());
  for (const char* path : {"link", "../out", "/etc/passwd"}) {
    EXPECT_FALSE(OpenBeneath(in->get(), path, O_RDONLY).ok()) << path;
  }
}

TEST(OpenNoSymlinksTest, RefusesALinkAnywhereInThePath) {
  TempDir dir;
  dir.Write("real/file", "x");
  std::filesystem::create_symlink("real", dir.Path("alias"));
  EXPECT_THAT(OpenNoSymlinks(dir.Path("real/file"), O_RDONLY), IsOk());
  EXPECT_FALSE(OpenNoSymlinks(dir.Path("alias/file"), O_RDONLY).ok());
}

TEST(OpenByWalkingTest, DoesTheSameWithoutOpenat2) {
  using file_internal::OpenByWalking;
  TempDir dir;
  dir.Write("in/deep/file", "inside");
  dir.Write("out", "outside");
  std::filesystem::create_symlink("../out", dir.Path("in/link"));
  std::filesystem::create_symlink("in", dir.Path("alias"));
  const auto in = Open(dir.Path("in"), O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(in, IsOk());
  for (const char* path : {"deep/file", "deep//./file", "deep/"}) {
    EXPECT_THAT(OpenByWalking(in->get(), path, O_RDONLY), IsOk()) << path;
  }
  for (const char* path : {"link", "../out", "deep/../deep/file", "/etc/passwd",
                           "deep/file/x", "nothing"}) {
    EXPECT_FALSE(OpenByWalking(in->get(), path, O_RDONLY).ok()) << path;
  }
  EXPECT_THAT(OpenByWalking(AT_FDCWD, dir.Path("in/deep/file"), O_RDONLY),
              IsOk());
  EXPECT_THAT(OpenByWalking(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY), IsOk());
  for (const int flags : {O_RDONLY, O_PATH}) {
    for (const char* path : {"in/link", "alias/deep/file"}) {
      EXPECT_THAT(
          OpenByWalking(AT_FDCWD, dir.Path(path), flags).status().ToString(),
          HasSubstr(strerror(ELOOP)))
          << path;
    }
  }
  const auto made =
      OpenByWalking(in->get(), "deep/new", O_WRONLY | O_CREAT | O_EXCL, 0600);
  ASSERT_THAT(made, IsOk());
  EXPECT_EQ(fcntl(made->get(), F_GETFD), FD_CLOEXEC);
}

TEST(OpenTest, SetsCloseOnExec) {
  for (const auto& fd :
       {Open("/dev/null", O_RDONLY), OpenNoSymlinks("/dev/null", O_RDONLY)}) {
    ASSERT_THAT(fd, IsOk());
    EXPECT_EQ(fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(WriteFileAtomicallyTest, ReplacesContentAndMode) {
  TempDir dir;
  const std::string path = dir.Write("f", "old");
  ASSERT_THAT(WriteFileAtomically(path, "new", 0640), IsOk());
  EXPECT_THAT(ReadFile(path, 100), IsOkAndHolds("new"));
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_EQ(EntriesIn(dir.path()), 1u);
}

TEST(WriteFileAtomicallyTest, ReplacesALinkInsteadOfFollowingIt) {
  TempDir dir;
  dir.Write("target", "untouched");
  std::filesystem::create_symlink("target", dir.Path("link"));
  ASSERT_THAT(WriteFileAtomically(dir.Path("link"), "new", 0644), IsOk());
  EXPECT_THAT(ReadFile(dir.Path("target"), 100), IsOkAndHolds("untouched"));
  EXPECT_FALSE(std::filesystem::is_symlink(dir.Path("link")));
}

TEST(WriteFileAtomicallyTest, AFailureLeavesTheOldFileAndNothingElse) {
  TempDir dir;
  const std::string path = dir.Write("f", "old");
  // A limit on file sizes is the full disk that every machine has at hand.
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status =
      WriteFileAtomically(path, std::string(100, 'x'), 0644);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("File too large"));
  EXPECT_THAT(ReadFile(path, 100), IsOkAndHolds("old"));
  EXPECT_EQ(EntriesIn(dir.path()), 1u);
}

}  // namespace
}  // namespace vmsilo
