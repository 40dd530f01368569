#include "unitgen/tree.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Optional;

File Regular(absl::string_view content, mode_t mode = 0644) {
  return File{.content = std::string(content), .mode = mode};
}

File Link(absl::string_view target) {
  return File{.kind = File::Kind::kSymlink, .content = std::string(target)};
}

class DirectoryTreeTest : public testing::Test {
 protected:
  DirectoryTreeTest() : tree_(*DirectoryTree::Open(dir_.path())) {}

  bool Exists(absl::string_view name) const {
    struct stat status = {};
    return lstat(dir_.Path(name).c_str(), &status) == 0;
  }

  TempDir dir_;
  std::unique_ptr<DirectoryTree> tree_;
};

TEST_F(DirectoryTreeTest, LooksAtWhatThereIs) {
  dir_.Write("a/file", "text");
  ASSERT_EQ(chmod(dir_.Path("a/file").c_str(), 0640), 0);
  ASSERT_EQ(symlink("../file", dir_.Path("a/link").c_str()), 0);
  ASSERT_EQ(mkfifo(dir_.Path("a/fifo").c_str(), 0600), 0);

  const Node file = {Node::Kind::kRegular, "text", 0640};
  EXPECT_THAT(tree_->Look("a/file"), IsOkAndHolds(Optional(file)));
  const Node link = {Node::Kind::kSymlink, "../file", 0777};
  EXPECT_THAT(tree_->Look("a/link"), IsOkAndHolds(Optional(link)));
  EXPECT_EQ((*tree_->Look("a"))->kind, Node::Kind::kDirectory);
  EXPECT_EQ((*tree_->Look("a/fifo"))->kind, Node::Kind::kOther);
  EXPECT_THAT(tree_->Look("a/none"), IsOkAndHolds(Eq(std::nullopt)));
  EXPECT_THAT(tree_->Look("none/at/all"), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_F(DirectoryTreeTest, AFileThatIsTooLargeIsNotOurs) {
  dir_.Write("limit", std::string(kMaxInstalledFile, 'x'));
  dir_.Write("past", std::string(kMaxInstalledFile + 1, 'x'));
  EXPECT_EQ((*tree_->Look("limit"))->kind, Node::Kind::kRegular);
  EXPECT_EQ((*tree_->Look("past"))->kind, Node::Kind::kOther);
}

TEST_F(DirectoryTreeTest, AStagedFileIsInvisibleUntilItIsCommitted) {
  dir_.Write("unit", "old");
  ASSERT_THAT(tree_->Stage("unit", Regular("new", 0600)), IsOk());
  EXPECT_THAT(ReadFile(dir_.Path("unit"), 100), IsOkAndHolds("old"));
  ASSERT_THAT(tree_->Commit("unit", /*replace=*/true), IsOk());
  const Node want = {Node::Kind::kRegular, "new", 0600};
  EXPECT_THAT(tree_->Look("unit"), IsOkAndHolds(Optional(want)));
  EXPECT_FALSE(Exists(StagedName("unit")));
}

TEST_F(DirectoryTreeTest, ModeDoesNotDependOnTheUmask) {
  const mode_t before = umask(0077);
  EXPECT_THAT(tree_->MakeDirectory("d"), IsOk());
  EXPECT_THAT(tree_->Stage("d/f", Regular("x")), IsOk());
  EXPECT_THAT(tree_->Commit("d/f", /*replace=*/false), IsOk());
  umask(before);
  EXPECT_EQ((*tree_->Look("d"))->mode, 0755U);
  EXPECT_EQ((*tree_->Look("d/f"))->mode, 0644U);
}

TEST_F(DirectoryTreeTest, CommitWithoutReplaceKeepsWhatIsThere) {
  dir_.Write("unit", "foreign");
  ASSERT_THAT(tree_->Stage("unit", Regular("ours")), IsOk());
  EXPECT_THAT(tree_->Commit("unit", /*replace=*/false),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("unit")));
  EXPECT_THAT(ReadFile(dir_.Path("unit"), 100), IsOkAndHolds("foreign"));
  EXPECT_THAT(tree_->Discard("unit"), IsOk());
  EXPECT_FALSE(Exists(StagedName("unit")));
}

TEST_F(DirectoryTreeTest, StagingReplacesWhatAnInterruptedRunLeft) {
  dir_.Write(StagedName("unit"), "half a fi");
  ASSERT_THAT(tree_->Stage("unit", Link("../target")), IsOk());
  ASSERT_THAT(tree_->Commit("unit", /*replace=*/false), IsOk());
  EXPECT_EQ((*tree_->Look("unit"))->content, "../target");
}

TEST_F(DirectoryTreeTest, ALinkAtTheTemporaryNameIsNotWrittenThrough) {
  dir_.Write("victim", "precious");
  ASSERT_EQ(symlink("victim", dir_.Path(StagedName("unit")).c_str()), 0);
  ASSERT_THAT(tree_->Stage("unit", Regular("ours")), IsOk());
  ASSERT_THAT(tree_->Commit("unit", /*replace=*/false), IsOk());
  EXPECT_THAT(ReadFile(dir_.Path("victim"), 100), IsOkAndHolds("precious"));
  EXPECT_THAT(ReadFile(dir_.Path("unit"), 100), IsOkAndHolds("ours"));
}

TEST_F(DirectoryTreeTest, ALinkIsReplacedNotFollowed) {
  dir_.Write("victim", "precious");
  ASSERT_EQ(symlink("victim", dir_.Path("unit").c_str()), 0);
  ASSERT_THAT(tree_->Stage("unit", Regular("ours")), IsOk());
  ASSERT_THAT(tree_->Commit("unit", /*replace=*/true), IsOk());
  EXPECT_THAT(ReadFile(dir_.Path("victim"), 100), IsOkAndHolds("precious"));
}

TEST_F(DirectoryTreeTest, NoStepGoesThroughALinkedDirectory) {
  TempDir outside;
  outside.Write("d/file", "precious");
  ASSERT_EQ(mkdir(dir_.Path("etc").c_str(), 0755), 0);
  ASSERT_EQ(symlink(outside.path().c_str(), dir_.Path("etc/systemd").c_str()),
            0);
  const auto refused =
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("/etc/systemd'"), HasSubstr("symbolic link")));
  EXPECT_THAT(tree_->Look("etc/systemd/d/file").status(), refused);
  EXPECT_THAT(tree_->MakeDirectory("etc/systemd/new"), refused);
  EXPECT_THAT(tree_->MakeDirectory("etc/systemd"), refused);
  EXPECT_THAT(tree_->Stage("etc/systemd/d/new", Regular("x")), refused);
  EXPECT_THAT(tree_->Commit("etc/systemd/d/new", /*replace=*/true), refused);
  EXPECT_THAT(tree_->Discard("etc/systemd/d/file"), refused);
  EXPECT_THAT(tree_->Remove("etc/systemd/d/file"), refused);
  EXPECT_THAT(tree_->RemoveDirectory("etc/systemd/d"), refused);
  EXPECT_THAT(ReadFile(outside.Path("d/file"), 100), IsOkAndHolds("precious"));
}

TEST_F(DirectoryTreeTest, AFileInADirectorysPlaceIsAnError) {
  dir_.Write("etc", "a file");
  EXPECT_THAT(tree_->Stage("etc/unit", Regular("x")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/etc' is not a directory")));
  EXPECT_THAT(tree_->MakeDirectory("etc"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DirectoryTreeTest, RemovesOnlyWhatIsEmpty) {
  dir_.Write("full/file", "x");
  ASSERT_THAT(tree_->MakeDirectory("empty"), IsOk());
  EXPECT_THAT(tree_->RemoveDirectory("full"), IsOk());
  EXPECT_THAT(tree_->RemoveDirectory("empty"), IsOk());
  EXPECT_THAT(tree_->RemoveDirectory("none"), IsOk());
  EXPECT_TRUE(Exists("full/file"));
  EXPECT_FALSE(Exists("empty"));
  EXPECT_THAT(tree_->Remove("full/file"), IsOk());
  EXPECT_THAT(tree_->Remove("full/file"), IsOk());
  EXPECT_THAT(tree_->Remove("none/at/all"), IsOk());
  EXPECT_FALSE(Exists("full/file"));
}

TEST_F(DirectoryTreeTest, ADirectoryThatWasRemovedCanBeMadeAgain) {
  ASSERT_THAT(tree_->MakeDirectory("d"), IsOk());
  ASSERT_THAT(tree_->Stage("d/f", Regular("x")), IsOk());
  ASSERT_THAT(tree_->Discard("d/f"), IsOk());
  ASSERT_THAT(tree_->RemoveDirectory("d"), IsOk());
  ASSERT_THAT(tree_->MakeDirectory("d"), IsOk());
  EXPECT_THAT(tree_->Stage("d/f", Regular("x")), IsOk());
  EXPECT_THAT(tree_->Commit("d/f", /*replace=*/false), IsOk());
  EXPECT_TRUE(Exists("d/f"));
  EXPECT_THAT(tree_->Sync(), IsOk());
}

TEST_F(DirectoryTreeTest, AFailedWriteLeavesNothing) {
  // The limit acts like a disk that has room for 10 bytes only.
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = tree_->Stage("unit", Regular("eleven bytes"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);

  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr("/unit'"));
  EXPECT_FALSE(Exists("unit"));
  EXPECT_FALSE(Exists(StagedName("unit")));
}

TEST_F(DirectoryTreeTest, TheSecondLockIsRefused) {
  ASSERT_THAT(tree_->MakeDirectory("state"), IsOk());
  auto second = *DirectoryTree::Open(dir_.path());
  ASSERT_THAT(tree_->Lock("state"), IsOk());
  EXPECT_THAT(second->Lock("state"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("/state'")));
  tree_.reset();
  EXPECT_THAT(second->Lock("state"), IsOk());
}

TEST(DirectoryTreeOpenTest, AMissingRootIsNotFound) {
  EXPECT_THAT(DirectoryTree::Open("/nonexistent/root").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nonexistent")));
}

}  // namespace
}  // namespace vmsilo::unitgen
