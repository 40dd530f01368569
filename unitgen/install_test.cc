#include "unitgen/install.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unitgen/testing/interrupted_tree.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kSocket[] = "systemd/system/vmsilo-work.socket";
constexpr char kLink[] =
    "systemd/system/sockets.target.wants/vmsilo-work.socket";

void AddSilo(absl::string_view name, absl::string_view text, Output* output) {
  const std::string unit = absl::StrCat("vmsilo-", name, ".socket");
  output->files[absl::StrCat("systemd/system/", unit)] =
      File{.content = std::string(text)};
  output->files[absl::StrCat("systemd/system/sockets.target.wants/", unit)] =
      File{.kind = File::Kind::kSymlink, .content = absl::StrCat("../", unit)};
  output->files[absl::StrCat("polkit-1/rules.d/", name, ".rules")] =
      File{.content = std::string(text), .mode = 0640};
}

Output OneSilo(absl::string_view text) {
  Output output;
  AddSilo("work", text, &output);
  return output;
}

// Everything below a directory, by relative path: "file MODE content",
// "link target" or "directory". The manifest is left out; it has tests of its
// own.
using Snapshot = std::map<std::string, std::string>;

Snapshot Take(const std::string& root) {
  Snapshot snapshot;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root)) {
    const std::string path = entry.path().lexically_relative(root).string();
    if (absl::StartsWith(path, "var")) continue;
    std::string& is = snapshot[path];
    if (entry.is_symlink()) {
      is = "link " + std::filesystem::read_symlink(entry.path()).string();
    } else if (entry.is_directory()) {
      is = "directory";
    } else {
      struct stat status = {};
      EXPECT_EQ(lstat(entry.path().c_str(), &status), 0);
      is = absl::StrCat("file ", status.st_mode & 07777, " ",
                        *ReadFile(entry.path().string(), 1 << 20));
    }
  }
  return snapshot;
}

class InstallTest : public testing::Test {
 protected:
  InstallTest() : InstallTest(std::make_unique<TempDir>()) {}

  absl::StatusOr<InstallPlan> Run(const Output& output) {
    EXPECT_THAT(MakeManifestDirectory(tree_.get()), IsOk());
    return Install(output, tree_.get());
  }

  // A fresh tree with an /etc that has other things in it.
  void Restart() {
    dir_ = std::make_unique<TempDir>();
    dir_->Write("etc/systemd/system/foreign.service", "foreign");
    tree_ = *DirectoryTree::Open(dir_->path());
  }

  Manifest ManifestNow() { return *ReadManifest(tree_.get()); }

  std::unique_ptr<TempDir> dir_;
  std::unique_ptr<DirectoryTree> tree_;

 private:
  explicit InstallTest(std::unique_ptr<TempDir> dir) : dir_(std::move(dir)) {
    Restart();
  }
};

TEST_F(InstallTest, InstallsUpdatesAndRemoves) {
  const Snapshot before = Take(dir_->path());
  ASSERT_THAT(Run(OneSilo("one")).status(), IsOk());
  EXPECT_THAT(ReadFile(dir_->Path(absl::StrCat("etc/", kSocket)), 100),
              IsOkAndHolds("one"));
  EXPECT_EQ(Take(dir_->path()).at(absl::StrCat("etc/", kLink)),
            "link ../vmsilo-work.socket");

  const auto again = Run(OneSilo("one"));
  ASSERT_THAT(again.status(), IsOk());
  EXPECT_FALSE(again->changes_files());
  EXPECT_EQ(again->unchanged, 3U);

  ASSERT_THAT(Run(OneSilo("two")).status(), IsOk());
  EXPECT_THAT(ReadFile(dir_->Path(absl::StrCat("etc/", kSocket)), 100),
              IsOkAndHolds("two"));

  ASSERT_THAT(Run(Output()).status(), IsOk());
  EXPECT_EQ(Take(dir_->path()), before);
  EXPECT_EQ(ManifestNow(), Manifest());
}

TEST_F(InstallTest, ARunWithoutChangesWritesNothing) {
  ASSERT_THAT(Run(OneSilo("one")).status(), IsOk());
  InterruptedTree locked(tree_.get(), 0, InterruptedTree::How::kPowerCut);
  EXPECT_THAT(Install(OneSilo("one"), &locked).status(), IsOk());
  EXPECT_FALSE(locked.interrupted());
}

TEST_F(InstallTest, LeavesForeignAndChangedFilesAlone) {
  dir_->Write(absl::StrCat("etc/", kSocket), "the admin's own");
  auto plan = Run(OneSilo("one"));
  ASSERT_THAT(plan.status(), IsOk());
  ASSERT_EQ(plan->kept.size(), 1U);
  EXPECT_EQ(plan->kept[0].why, KeptFile::Why::kForeign);

  dir_->Write("etc/polkit-1/rules.d/work.rules", "edited");
  plan = Run(Output());
  ASSERT_THAT(plan.status(), IsOk());
  ASSERT_EQ(plan->kept.size(), 1U);
  EXPECT_EQ(plan->kept[0].why, KeptFile::Why::kChangedAndObsolete);
  EXPECT_THAT(ReadFile(dir_->Path(absl::StrCat("etc/", kSocket)), 100),
              IsOkAndHolds("the admin's own"));
  EXPECT_THAT(ReadFile(dir_->Path("etc/polkit-1/rules.d/work.rules"), 100),
              IsOkAndHolds("edited"));
}

TEST_F(InstallTest, ADirectoryWithForeignFilesStaysAndIsRemovedLater) {
  ASSERT_THAT(Run(OneSilo("one")).status(), IsOk());
  const std::string foreign =
      dir_->Write("etc/polkit-1/rules.d/foreign.rules", "foreign");
  ASSERT_THAT(Run(Output()).status(), IsOk());
  EXPECT_EQ(access(foreign.c_str(), F_OK), 0);
  EXPECT_THAT(ManifestNow().directories,
              ElementsAre("etc/polkit-1", "etc/polkit-1/rules.d"));

  ASSERT_EQ(unlink(foreign.c_str()), 0);
  ASSERT_THAT(Run(Output()).status(), IsOk());
  EXPECT_NE(access(dir_->Path("etc/polkit-1").c_str(), F_OK), 0);
  EXPECT_EQ(ManifestNow(), Manifest());
}

// From one configuration to another that adds, changes and removes files,
// stopped at each step in turn and then run again.
TEST_F(InstallTest, CanBeInterruptedAtEveryStep) {
  Output first = OneSilo("one");
  AddSilo("old", "old", &first);
  Output second = OneSilo("two");
  AddSilo("new", "new", &second);
  ASSERT_THAT(Run(second).status(), IsOk());
  const Snapshot want_second = Take(dir_->path());

  for (const auto how :
       {InterruptedTree::How::kPowerCut, InterruptedTree::How::kFullDisk}) {
    for (int steps = 0;; ++steps) {
      SCOPED_TRACE(absl::StrCat("stopped after step ", steps));
      Restart();
      const Snapshot foreign = Take(dir_->path());
      ASSERT_THAT(Run(first).status(), IsOk());
      const Snapshot want_first = Take(dir_->path());

      InterruptedTree interrupted(tree_.get(), steps, how);
      const absl::Status status = Install(second, &interrupted).status();
      if (!interrupted.interrupted()) {
        EXPECT_THAT(status, IsOk());
        break;
      }
      EXPECT_FALSE(status.ok());

      // No file is half written, and each that is not foreign is listed.
      const Manifest manifest = ManifestNow();
      for (const auto& [path, is] : Take(dir_->path())) {
        if (foreign.contains(path)) continue;
        if (absl::EndsWith(path, ".vmsilo-new")) {
          EXPECT_EQ(how, InterruptedTree::How::kPowerCut) << path;
          continue;
        }
        if (is == "directory") {
          EXPECT_TRUE(manifest.directories.contains(path)) << path;
          continue;
        }
        EXPECT_TRUE(manifest.files.contains(path)) << path;
        const auto old = want_first.find(path);
        const auto renewed = want_second.find(path);
        EXPECT_TRUE((old != want_first.end() && old->second == is) ||
                    (renewed != want_second.end() && renewed->second == is))
            << path << " is " << is;
      }

      // Whichever way it goes on from here, nothing is left over.
      if (steps % 2 == 0) {
        ASSERT_THAT(Run(second).status(), IsOk());
        EXPECT_EQ(Take(dir_->path()), want_second);
        EXPECT_THAT(Run(second)->kept, IsEmpty());
      } else {
        ASSERT_THAT(Run(first).status(), IsOk());
        EXPECT_EQ(Take(dir_->path()), want_first);
      }
      ASSERT_THAT(Run(Output()).status(), IsOk());
      EXPECT_EQ(Take(dir_->path()), foreign);
      EXPECT_EQ(ManifestNow(), Manifest());
    }
  }
}

TEST_F(InstallTest, AFullDiskLeavesTheOldFilesAndSaysSo) {
  ASSERT_THAT(Run(OneSilo("one")).status(), IsOk());
  const Snapshot before = Take(dir_->path());
  InterruptedTree full(tree_.get(), 1, InterruptedTree::How::kFullDisk);
  EXPECT_THAT(Install(OneSilo("two"), &full).status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("nothing was installed")));
  EXPECT_EQ(Take(dir_->path()), before);
}

TEST_F(InstallTest, DoesNotGoThroughALinkBelowTheRoot) {
  TempDir outside;
  std::filesystem::remove_all(dir_->Path("etc"));
  std::filesystem::create_directory(dir_->Path("etc"));
  std::filesystem::create_symlink(outside.path(), dir_->Path("etc/systemd"));
  EXPECT_THAT(
      Run(OneSilo("one")).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("/etc/systemd'"), HasSubstr("symbolic link"))));
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
  EXPECT_FALSE(std::filesystem::exists(dir_->Path("etc/polkit-1")));
}

TEST_F(InstallTest, ADamagedManifestStopsEverythingAndSaysTheWayOut) {
  ASSERT_THAT(Run(OneSilo("one")).status(), IsOk());
  dir_->Write(kManifestPath, "{");
  EXPECT_THAT(Run(Output()).status(),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr("/var/lib/vmsilo/manifest.json"),
                             HasSubstr("move it away"))));
  // The way out, taken.
  ASSERT_EQ(unlink(dir_->Path(kManifestPath).c_str()), 0);
  ASSERT_THAT(Run(OneSilo("one")).status(), IsOk());
  EXPECT_EQ(ManifestNow().files.size(), 3U);
}

TEST_F(InstallTest, AManifestThatIsALinkIsNotFollowed) {
  TempDir outside;
  const std::string victim = outside.Write("victim", "precious");
  ASSERT_THAT(MakeManifestDirectory(tree_.get()), IsOk());
  std::filesystem::create_symlink(victim, dir_->Path(kManifestPath));
  EXPECT_THAT(Run(OneSilo("one")).status(),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ReadFile(victim, 100), IsOkAndHolds("precious"));
}

TEST_F(InstallTest, FindsTheGeneratorThatSystemdWouldRun) {
  EXPECT_THAT(ActiveGenerator(tree_.get()), IsOkAndHolds(""));
  const std::string packaged = dir_->Write(
      "usr/lib/systemd/system-generators/vmsilo-unitgen", "a program");
  EXPECT_THAT(ActiveGenerator(tree_.get()), IsOkAndHolds(""))
      << "it cannot be executed";
  ASSERT_EQ(chmod(packaged.c_str(), 0755), 0);
  EXPECT_THAT(ActiveGenerator(tree_.get()),
              IsOkAndHolds("usr/lib/systemd/system-generators/vmsilo-unitgen"));

  std::filesystem::create_directories(
      dir_->Path("etc/systemd/system-generators"));
  std::filesystem::create_symlink(
      "/dev/null", dir_->Path("etc/systemd/system-generators/vmsilo-unitgen"));
  EXPECT_THAT(ActiveGenerator(tree_.get()), IsOkAndHolds("")) << "masked";

  std::filesystem::create_directories(
      dir_->Path("run/systemd/system-generators"));
  std::filesystem::create_symlink(
      "/usr/bin/vmsilo-unitgen",
      dir_->Path("run/systemd/system-generators/vmsilo-unitgen"));
  EXPECT_THAT(ActiveGenerator(tree_.get()),
              IsOkAndHolds("run/systemd/system-generators/vmsilo-unitgen"));
}

}  // namespace
}  // namespace vmsilo::unitgen
