#include "prepare/home.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prepare/owner.h"

namespace vmsilo::prepare {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Owner kSelf{geteuid(), getegid()};

struct stat Look(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}

std::set<std::string> NamesIn(const std::string& path) {
  std::set<std::string> names;
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) names.insert(entry->d_name);
  closedir(dir);
  names.erase(".");
  names.erase("..");
  return names;
}

class MakeHomeTest : public ::testing::Test {
 protected:
  MakeHomeTest() {
    EXPECT_EQ(chmod(dir_.path().c_str(), 0755), 0);
    EXPECT_EQ(mkdir(template_.c_str(), 0755), 0);
    EXPECT_EQ(mkdir(homes_.c_str(), 0755), 0);
  }

  absl::Status Make() { return MakeHome(template_, home_, kSelf); }

  TempDir dir_;
  const std::string template_ = dir_.Path("template");
  const std::string homes_ = dir_.Path("homes");
  const std::string home_ = dir_.Path("homes/work");
};

TEST_F(MakeHomeTest, CopiesFilesWithModesAndTimes) {
  const std::string from = dir_.Write("template/.config/app/settings", "text");
  ASSERT_EQ(chmod(from.c_str(), 0640), 0);
  ASSERT_EQ(chmod(dir_.Path("template/.config").c_str(), 0750), 0);
  const timespec times[2] = {{1000, 0}, {2000, 5}};
  ASSERT_EQ(utimensat(AT_FDCWD, from.c_str(), times, 0), 0);
  ASSERT_EQ(utimensat(AT_FDCWD, template_.c_str(), times, 0), 0);
  ASSERT_EQ(chmod(template_.c_str(), 0711), 0);

  EXPECT_THAT(Make(), IsOk());
  const std::string to = home_ + "/.config/app/settings";
  EXPECT_THAT(ReadFile(to, 100), IsOkAndHolds(std::string("text")));
  EXPECT_EQ(Look(to).st_mode & 07777, mode_t{0640});
  EXPECT_EQ(Look(to).st_mtim.tv_sec, 2000);
  EXPECT_EQ(Look(to).st_mtim.tv_nsec, 5);
  EXPECT_EQ(Look(home_ + "/.config").st_mode & 07777, mode_t{0750});
  EXPECT_EQ(Look(home_).st_mode & 07777, mode_t{0711});
  EXPECT_EQ(Look(home_).st_mtim.tv_sec, 2000);
  EXPECT_THAT(NamesIn(homes_), ElementsAre("work"));
}

TEST_F(MakeHomeTest, KeepsLinksAsLinks) {
  const std::string secret = dir_.Write("outside", "secret");
  ASSERT_EQ(symlink(secret.c_str(), dir_.Path("template/out").c_str()), 0);
  ASSERT_EQ(symlink("..", dir_.Path("template/up").c_str()), 0);
  dir_.Write("template/file", "one");
  ASSERT_EQ(link(dir_.Path("template/file").c_str(),
                 dir_.Path("template/same").c_str()),
            0);
  EXPECT_THAT(Make(), IsOk());
  EXPECT_TRUE(S_ISLNK(Look(home_ + "/out").st_mode));
  EXPECT_TRUE(S_ISLNK(Look(home_ + "/up").st_mode));
  EXPECT_EQ(Look(home_ + "/file").st_ino, Look(home_ + "/same").st_ino);
  EXPECT_NE(Look(home_ + "/file").st_ino, Look(template_ + "/file").st_ino);
}

TEST_F(MakeHomeTest, KeepsAttributesAndDropsPrivileges) {
  const std::string from = dir_.Write("template/tool", "#!");
  ASSERT_EQ(chmod(from.c_str(), 06755), 0);
  const bool has_xattrs =
      setxattr(from.c_str(), "user.origin", "here", 4, 0) == 0;
  ASSERT_EQ(mkfifo(dir_.Path("template/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Make(), IsOk());
  EXPECT_EQ(Look(home_ + "/tool").st_mode & 07777, mode_t{0755});
  EXPECT_TRUE(S_ISFIFO(Look(home_ + "/pipe").st_mode));
  if (has_xattrs) {  // not on every file system that tests run on
    char value[4] = {};
    EXPECT_EQ(getxattr((home_ + "/tool").c_str(), "user.origin", value, 4), 4);
  }
}

TEST_F(MakeHomeTest, KeepsHoles) {
  const std::string from = dir_.Write("template/sparse", "begin");
  ASSERT_EQ(truncate(from.c_str(), 64 << 20), 0);
  EXPECT_THAT(Make(), IsOk());
  const struct stat info = Look(home_ + "/sparse");
  EXPECT_EQ(info.st_size, 64 << 20);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
}

TEST_F(MakeHomeTest, TouchesNoHomeThatExists) {
  dir_.Write("template/file", "new");
  dir_.Write("homes/work/file", "mine");
  ASSERT_EQ(chmod(home_.c_str(), 0700), 0);
  EXPECT_THAT(Make(), IsOk());
  EXPECT_THAT(ReadFile(home_ + "/file", 100),
              IsOkAndHolds(std::string("mine")));
  EXPECT_EQ(Look(home_).st_mode & 07777, mode_t{0700});
}

TEST_F(MakeHomeTest, WithoutATemplateItIsEmpty) {
  EXPECT_THAT(MakeHome(dir_.Path("absent"), home_, kSelf), IsOk());
  EXPECT_EQ(Look(home_).st_mode & 07777, mode_t{0700});
  EXPECT_THAT(NamesIn(home_), IsEmpty());
}

TEST_F(MakeHomeTest, MakesTheDirectoriesAbove) {
  const std::string deep = dir_.Path("homes/a/b/work");
  EXPECT_THAT(MakeHome(template_, deep, kSelf), IsOk());
  EXPECT_TRUE(S_ISDIR(Look(deep).st_mode));
}

TEST_F(MakeHomeTest, RemovesAnInterruptedCopyAndNotALiveOne) {
  dir_.Write("homes/.work.new-1-0/half/of/it", "x");
  dir_.Write("homes/.work.new-2-0/busy", "x");
  dir_.Write("homes/.other.new-1-0/file", "x");
  const auto live =
      Open(dir_.Path("homes/.work.new-2-0"), O_RDONLY | O_DIRECTORY);
  ASSERT_THAT(live, IsOk());
  ASSERT_EQ(flock(live->get(), LOCK_EX), 0);
  EXPECT_THAT(Make(), IsOk());
  EXPECT_THAT(NamesIn(homes_),
              ElementsAre(".other.new-1-0", ".work.new-2-0", "work"));
}

TEST_F(MakeHomeTest, LeavesNothingWhenItFails) {
  // A directory deeper than we copy.
  std::string path = template_;
  ASSERT_EQ(chdir(path.c_str()), 0);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(mkdir("d", 0755), 0);
    ASSERT_EQ(chdir("d"), 0);
  }
  ASSERT_EQ(chdir("/"), 0);
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kResourceExhausted,
                               HasSubstr("within each other")));
  EXPECT_THAT(NamesIn(homes_), IsEmpty());
}

TEST_F(MakeHomeTest, RefusesAnotherThanADirectory) {
  dir_.Write("homes/work", "a file");
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("not a directory")));
  ASSERT_EQ(unlink(home_.c_str()), 0);
  ASSERT_EQ(symlink("/no/such/place", home_.c_str()), 0);
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("symbolic link")));
}

TEST_F(MakeHomeTest, FollowsALinkOnlyWhereOthersCannotMakeOne) {
  ASSERT_EQ(mkdir(dir_.Path("elsewhere").c_str(), 0755), 0);
  ASSERT_EQ(symlink("../elsewhere", home_.c_str()), 0);
  EXPECT_THAT(Make(), IsOk());
  ASSERT_EQ(chmod(homes_.c_str(), 0777), 0);
  EXPECT_THAT(Make(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("symbolic link")));
}

TEST_F(MakeHomeTest, SeveralAtOnceMakeOne) {
  for (int i = 0; i < 50; ++i) {
    dir_.Write(absl::StrCat("template/file", i), std::string(1000, 'x'));
  }
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(Make().ok() ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_THAT(NamesIn(homes_), ElementsAre("work"));
  EXPECT_EQ(NamesIn(home_).size(), 50u);
}

}  // namespace
}  // namespace vmsilo::prepare
