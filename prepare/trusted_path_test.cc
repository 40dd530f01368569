#include "prepare/trusted_path.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::prepare {
namespace {

using ::testing::HasSubstr;

// Tests' directories are below /tmp, where everybody may write; what counts is
// the directory that holds the link.
TEST(OpenTrustedDirectoryTest, OpensADirectory) {
  TempDir dir;
  EXPECT_THAT(OpenTrustedDirectory(dir.path()), IsOk());
  EXPECT_THAT(OpenTrustedDirectory(dir.path() + "//./"), IsOk());
}

TEST(OpenTrustedDirectoryTest, FollowsALinkThatOnlyWeCouldHaveMade) {
  TempDir dir;
  ASSERT_EQ(mkdir(dir.Path("real").c_str(), 0755), 0);
  ASSERT_EQ(symlink("real", dir.Path("link").c_str()), 0);
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  EXPECT_THAT(OpenTrustedDirectory(dir.Path("link")), IsOk());
  ASSERT_EQ(symlink(dir.Path("real").c_str(), dir.Path("absolute").c_str()), 0);
  EXPECT_THAT(OpenTrustedDirectory(dir.Path("absolute")), IsOk());
  ASSERT_EQ(symlink("../link", dir.Path("real/back").c_str()), 0);
  EXPECT_THAT(OpenTrustedDirectory(dir.Path("real/back")), IsOk());
}

TEST(OpenTrustedDirectoryTest, RefusesALinkThatOthersCouldHaveMade) {
  TempDir dir;
  ASSERT_EQ(symlink("/etc", dir.Path("link").c_str()), 0);
  for (const mode_t mode : {0775, 0777, 01777}) {
    ASSERT_EQ(chmod(dir.path().c_str(), mode), 0);
    EXPECT_THAT(OpenTrustedDirectory(dir.Path("link")),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("symbolic link")));
  }
}

TEST(OpenTrustedDirectoryTest, EndsOnACircle) {
  TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  ASSERT_EQ(symlink("b", dir.Path("a").c_str()), 0);
  ASSERT_EQ(symlink("a", dir.Path("b").c_str()), 0);
  EXPECT_THAT(
      OpenTrustedDirectory(dir.Path("a")),
      StatusIs(absl::ErrnoToStatusCode(ELOOP), HasSubstr("symbolic links")));
}

TEST(OpenTrustedDirectoryTest, RefusesWhatIsNoDirectory) {
  TempDir dir;
  const std::string file = dir.Write("file", "");
  EXPECT_FALSE(OpenTrustedDirectory(file).ok());
  EXPECT_FALSE(OpenTrustedDirectory(file + "/x").ok());
  EXPECT_THAT(OpenTrustedDirectory(dir.Path("absent")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(OpenTrustedDirectory("relative"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SplitAbsolutePathTest, Table) {
  const auto split = SplitAbsolutePath("/a/b");
  ASSERT_THAT(split, IsOk());
  EXPECT_EQ(split->directory, "/a");
  EXPECT_EQ(split->name, "b");
  EXPECT_EQ(SplitAbsolutePath("/b")->directory, "/");
  for (const char* bad : {"", "b", "/", "/a/", "/a/.", "/a/..", "a/b"}) {
    EXPECT_THAT(SplitAbsolutePath(bad),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
}

}  // namespace
}  // namespace vmsilo::prepare
