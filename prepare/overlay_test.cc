#include "prepare/overlay.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prepare/owner.h"

namespace vmsilo::prepare {
namespace {

using ::testing::HasSubstr;

struct stat Look(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}

TEST(MakeOverlayTest, IsSparseAndPrivate) {
  TempDir dir;
  const std::string path = dir.Path("work.raw");
  const mode_t old = umask(0);
  EXPECT_THAT(MakeOverlay(path, GiB(10), std::nullopt), IsOk());
  umask(old);
  const struct stat info = Look(path);
  EXPECT_EQ(info.st_size, 10LL << 30);
  EXPECT_EQ(info.st_blocks, 0);
  EXPECT_EQ(info.st_mode & 07777, mode_t{0600});
  EXPECT_EQ(info.st_uid, geteuid());
}

TEST(MakeOverlayTest, ShowsNothingOfTheLast) {
  TempDir dir;
  const std::string path = dir.Write("work.raw", "secret of the last run");
  const auto old = Open(path, O_RDONLY);
  ASSERT_THAT(old, IsOk());
  const ino_t inode = Look(path).st_ino;
  EXPECT_THAT(MakeOverlay(path, Bytes(4096), std::nullopt), IsOk());
  EXPECT_NE(Look(path).st_ino, inode);
  EXPECT_THAT(ReadFile(path, 4096), IsOkAndHolds(std::string(4096, '\0')));
  // Who has the old one open keeps it, for himself.
  EXPECT_THAT(ReadAll(old->get(), 100),
              IsOkAndHolds(std::string("secret of the last run")));
}

TEST(MakeOverlayTest, ReplacesALinkInsteadOfFollowingIt) {
  TempDir dir;
  const std::string victim = dir.Write("victim", "precious");
  const std::string path = dir.Path("work.raw");
  ASSERT_EQ(symlink(victim.c_str(), path.c_str()), 0);
  EXPECT_THAT(MakeOverlay(path, MiB(1), std::nullopt), IsOk());
  EXPECT_TRUE(S_ISREG(Look(path).st_mode));
  EXPECT_THAT(ReadFile(victim, 100), IsOkAndHolds(std::string("precious")));
}

TEST(MakeOverlayTest, GivesItToItsOwner) {
  TempDir dir;
  const std::string path = dir.Path("work.raw");
  // The only owner that everybody may give to.
  const Owner self{geteuid(), getegid()};
  EXPECT_THAT(MakeOverlay(path, MiB(1), self), IsOk());
  EXPECT_EQ(Look(path).st_gid, getegid());
}

TEST(MakeOverlayTest, LeavesNothingWhenItFails) {
  TempDir dir;
  const std::string path = dir.Write("work.raw", "old");
  // Beyond what any file system has.
  const absl::Status status =
      MakeOverlay(path, Bytes((uint64_t{1} << 63) - 1), std::nullopt);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("work.raw"));
  struct stat info = {};
  EXPECT_NE(lstat(path.c_str(), &info), 0);
}

TEST(MakeOverlayTest, NeedsItsDirectory) {
  TempDir dir;
  EXPECT_THAT(MakeOverlay(dir.Path("absent/work.raw"), MiB(1), std::nullopt),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  EXPECT_FALSE(MakeOverlay(dir.path(), MiB(1), std::nullopt).ok());
}

TEST(ParseOwnerTest, Table) {
  EXPECT_THAT(ParseOwner("1000:100"), IsOkAndHolds(Owner{1000, 100}));
  EXPECT_THAT(ParseOwner("1000"), IsOkAndHolds(Owner{1000, 1000}));
  EXPECT_THAT(ParseOwner("root"), IsOkAndHolds(Owner{0, 0}));
  for (const char* bad : {"", ":", "1000:", "1000:x", "-1", "4294967295:0",
                          "1000:4294967295", "root:root", "../x"}) {
    EXPECT_FALSE(ParseOwner(bad).ok()) << bad;
  }
  EXPECT_THAT(ParseOwner("vmsilo-no-such-user"),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace vmsilo::prepare
