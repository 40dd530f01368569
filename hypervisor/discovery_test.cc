#include "hypervisor/discovery.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kSocket[] = "vm/qemu-balloon.socket";

class DiscoveryTest : public ::testing::Test {
 protected:
  void Start() {
    absl::StatusOr<std::unique_ptr<Discovery>> discovery = Discovery::Create(
        loop_.get(), root_, {kSocket, "vm/crosvm-control.socket", "note"},
        [this](const Discovery::File& file, Discovery::Change change) {
          EXPECT_EQ(file.path,
                    absl::StrCat(root_, "/", file.silo, "/", file.name));
          const char* mark = change == Discovery::Change::kAppeared   ? "+"
                             : change == Discovery::Change::kReplaced ? "~"
                                                                      : "-";
          news_.push_back(absl::StrCat(mark, file.silo, "/", file.name));
        });
    ASSERT_THAT(discovery, IsOk());
    discovery_ = *std::move(discovery);
  }

  // What happens until a silo that comes now is seen, which is the last.
  std::vector<std::string> News() {
    const std::string mark = absl::StrCat("zz-mark", ++marks_);
    Touch(absl::StrCat(mark, "/note"));
    const std::string last = absl::StrCat("+", mark, "/note");
    EXPECT_TRUE(RunUntil(
        loop_.get(), [&] { return !news_.empty() && news_.back() == last; }));
    std::vector<std::string> news = std::exchange(news_, {});
    if (!news.empty()) news.pop_back();
    return news;
  }

  std::string Path(absl::string_view name) {
    return absl::StrCat(root_, "/", name);
  }

  void Touch(absl::string_view name, absl::string_view content = "") {
    fs::create_directories(fs::path(Path(name)).parent_path());
    const auto file = Open(Path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ASSERT_THAT(file, IsOk());
    ASSERT_THAT(WriteAll(file->get(), content), IsOk());
  }

  // A socket's file; nobody listens.
  void Bind(absl::string_view name) {
    fs::create_directories(fs::path(Path(name)).parent_path());
    ASSERT_THAT(ListenUnix(Path(name), 0600), IsOk());
  }

  void Remove(absl::string_view name) { fs::remove_all(Path(name)); }
  void Rename(absl::string_view from, absl::string_view to) {
    fs::rename(Path(from), Path(to));
  }

  TempDir dir_;
  std::string root_ = dir_.Path("run/vmsilo");
  const std::unique_ptr<SdEventLoop> loop_ = *SdEventLoop::Create();
  std::vector<std::string> news_;
  int marks_ = 0;
  std::unique_ptr<Discovery> discovery_;
};

TEST_F(DiscoveryTest, FindsWhatIsThere) {
  Bind(absl::StrCat("work/", kSocket));
  Bind("play/vm/crosvm-control.socket");
  Touch("play/note");
  Touch("play/vm/other");
  Start();
  EXPECT_THAT(News(),
              ElementsAre("+play/vm/crosvm-control.socket", "+play/note",
                          "+work/vm/qemu-balloon.socket"));
  EXPECT_THAT(discovery_->status(), IsOk());
}

TEST_F(DiscoveryTest, FindsWhatComesPieceByPiece) {
  fs::create_directories(root_);
  Start();
  EXPECT_THAT(News(), IsEmpty());
  fs::create_directory(Path("work"));
  EXPECT_THAT(News(), IsEmpty());
  fs::create_directory(Path("work/vm"));
  EXPECT_THAT(News(), IsEmpty());
  Bind(absl::StrCat("work/", kSocket));
  EXPECT_THAT(News(), ElementsAre("+work/vm/qemu-balloon.socket"));
  Touch("work/note");
  EXPECT_THAT(News(), ElementsAre("+work/note"));
}

TEST_F(DiscoveryTest, FindsManyAtOnceAndNoneTwice) {
  fs::create_directories(root_);
  Start();
  News();
  std::vector<std::string> wanted;
  for (int i = 0; i < 10; ++i) {
    Bind(absl::StrCat("silo", i, "/", kSocket));
    wanted.push_back(absl::StrCat("+silo", i, "/", kSocket));
    // Some are seen half.
    if (i % 3 == 0) {
      ASSERT_THAT(loop_->RunOnce(absl::ZeroDuration()), IsOk());
    }
  }
  EXPECT_THAT(News(), ::testing::UnorderedElementsAreArray(wanted));
}

TEST_F(DiscoveryTest, SeesWhatGoes) {
  Bind(absl::StrCat("work/", kSocket));
  Bind(absl::StrCat("play/", kSocket));
  Touch("work/note");
  Start();
  News();
  Remove(absl::StrCat("play/", kSocket));
  EXPECT_THAT(News(), ElementsAre("-play/vm/qemu-balloon.socket"));
  Remove("work/vm");
  EXPECT_THAT(News(), ElementsAre("-work/vm/qemu-balloon.socket"));
  Remove("work");
  EXPECT_THAT(News(), ElementsAre("-work/note"));
  Bind(absl::StrCat("work/", kSocket));
  EXPECT_THAT(News(), ElementsAre("+work/vm/qemu-balloon.socket"));
}

TEST_F(DiscoveryTest, SeesThatASocketIsAnother) {
  Bind(absl::StrCat("work/", kSocket));
  Start();
  News();
  Remove(absl::StrCat("work/", kSocket));
  Bind(absl::StrCat("work/", kSocket));
  EXPECT_THAT(News(), ElementsAre("~work/vm/qemu-balloon.socket"));
  Bind("work/vm/new");
  Rename("work/vm/new", absl::StrCat("work/", kSocket));
  EXPECT_THAT(News(), ElementsAre("~work/vm/qemu-balloon.socket"));
  ASSERT_EQ(chmod(Path(absl::StrCat("work/", kSocket)).c_str(), 0666), 0);
  ASSERT_THAT(ListenUnix(Path("other"), 0600), IsOk());
  EXPECT_THAT(News(), IsEmpty());
}

TEST_F(DiscoveryTest, SeesThatAFileIsWrittenTo) {
  Touch("work/note", "a");
  Start();
  News();
  Touch("work/note", "b");
  EXPECT_THAT(News(), ElementsAre("~work/note"));
  ASSERT_THAT(WriteFileAtomically(Path("work/note"), "c", 0600), IsOk());
  EXPECT_THAT(News(), ElementsAre("~work/note"));
}

TEST_F(DiscoveryTest, SeesThatADirectoryIsAnother) {
  Bind(absl::StrCat("work/", kSocket));
  Start();
  News();
  Rename("work/vm", "work/old");
  Bind(absl::StrCat("work/", kSocket));
  EXPECT_THAT(News(), ElementsAre("~work/vm/qemu-balloon.socket"));
  // Both are watched as they should be: one is, one is not.
  Remove("work/old/qemu-balloon.socket");
  Remove(absl::StrCat("work/", kSocket));
  EXPECT_THAT(News(), ElementsAre("-work/vm/qemu-balloon.socket"));

  Touch("work/note");
  EXPECT_THAT(News(), ElementsAre("+work/note"));
  Rename("work", "gone");
  Touch("work/note");
  const std::vector<std::string> news = News();
  EXPECT_THAT(news, ElementsAre("+gone/note", "-work/note", "+work/note"));
  Remove("work/note");
  EXPECT_THAT(News(), ElementsAre("-work/note"));
}

// A directory keeps its watch when it moves, whichever name is looked at first.
TEST_F(DiscoveryTest, FollowsADirectoryThatMoves) {
  Touch("b/note");
  Start();
  News();
  Rename("b", "a");
  EXPECT_THAT(News(), ElementsAre("+a/note", "-b/note"));
  Remove("a/note");
  EXPECT_THAT(News(), ElementsAre("-a/note"));
  Touch("a/note");
  EXPECT_THAT(News(), ElementsAre("+a/note"));
  Rename("a", "b");
  EXPECT_THAT(News(), ElementsAre("-a/note", "+b/note"));
  Remove("b/note");
  EXPECT_THAT(News(), ElementsAre("-b/note"));
}

TEST_F(DiscoveryTest, WaitsForItsRoot) {
  fs::create_directories(fs::path(root_).parent_path());
  Start();
  ASSERT_THAT(loop_->RunOnce(absl::ZeroDuration()), IsOk());
  Touch("work/note");
  EXPECT_THAT(News(), ElementsAre("+work/note"));
  for (int i = 0; i < 2; ++i) {
    fs::remove_all(root_);
    EXPECT_TRUE(RunUntil(loop_.get(), [&] {
      return std::find(news_.begin(), news_.end(), "-work/note") != news_.end();
    }));
    Touch("work/note");
    const std::vector<std::string> news = News();
    EXPECT_EQ(news.back(), "+work/note");
  }
  // Another one in its place.
  fs::rename(root_, root_ + ".old");
  Touch("play/note");
  EXPECT_THAT(News(), ::testing::IsSupersetOf({"-work/note", "+play/note"}));
}

TEST_F(DiscoveryTest, NeedsTheDirectoryAbove) {
  EXPECT_THAT(Discovery::Create(loop_.get(), dir_.Path("no/such"), {"note"},
                                [](const auto&, auto) {})
                  .status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no")));
}

TEST_F(DiscoveryTest, FollowsNoSymbolicLink) {
  Bind(absl::StrCat("../elsewhere/", kSocket));
  Touch("../elsewhere/note");
  fs::create_directories(Path("a"));
  fs::create_directories(Path("b/vm"));
  fs::create_directory_symlink(Path("../elsewhere"), Path("linked"));
  fs::create_directory_symlink(Path("../elsewhere/vm"), Path("a/vm"));
  fs::create_symlink(Path(absl::StrCat("../elsewhere/", kSocket)),
                     Path(absl::StrCat("b/", kSocket)));
  fs::create_symlink(Path("../elsewhere/note"), Path("b/note"));
  Start();
  EXPECT_THAT(News(), IsEmpty());
}

TEST_F(DiscoveryTest, LooksAtNothingElse) {
  for (const char* name : {".balloond", "-a", "a b", "ä", "a\n"}) {
    Touch(absl::StrCat(name, "/note"));
  }
  Touch(absl::StrCat(std::string(65, 'a'), "/note"));
  Touch("file");
  fs::create_directories(Path("dir/note"));
  Start();
  EXPECT_THAT(News(), IsEmpty());
  Touch(".later/note");
  EXPECT_THAT(News(), IsEmpty());
}

TEST_F(DiscoveryTest, WatchesABoundedNumberOfSilos) {
  for (size_t i = 0; i <= kMaxSilos; ++i) {
    Touch(absl::StrCat("silo", i, "/note"));
  }
  Start();
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return !news_.empty(); }));
  EXPECT_EQ(news_.size(), kMaxSilos);
  EXPECT_THAT(discovery_->status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("more than 256 silos")));
  // Those that it watches, it still watches; and when one goes there is room.
  const std::string one = news_.front().substr(1);
  news_.clear();
  Remove(one.substr(0, one.find('/')));
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return !news_.empty(); }));
  EXPECT_THAT(news_, ElementsAre("-" + one));
  discovery_->Rescan();
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return news_.size() == 2; }));
  EXPECT_THAT(discovery_->status(), IsOk());
}

TEST_F(DiscoveryTest, ReadsABoundedNumberOfEntries) {
  Touch("known/note");
  Start();
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return !news_.empty(); }));
  // "." and ".." count, and "known".
  for (size_t i = 3; i < kMaxRootEntries; ++i) Touch(absl::StrCat("file", i));
  discovery_->Rescan();
  EXPECT_THAT(loop_->RunOnce(absl::ZeroDuration()), IsOk());
  EXPECT_THAT(discovery_->status(), IsOk());
  Touch("one-more");
  discovery_->Rescan();
  EXPECT_TRUE(
      RunUntil(loop_.get(), [&] { return !discovery_->status().ok(); }));
  EXPECT_THAT(discovery_->status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("more than 1024 entries")));
  // What is known is not lost, wherever in the listing it comes.
  EXPECT_THAT(news_, ElementsAre("+known/note"));
}

TEST_F(DiscoveryTest, SurvivesAnOverflow) {
  Touch("work/note");
  fs::create_directory(Path("work/vm"));
  Start();
  News();
  const absl::StatusOr<std::string> limit =
      ReadFile("/proc/sys/fs/inotify/max_queued_events", 64);
  ASSERT_THAT(limit, IsOk());
  const absl::StatusOr<int> events =
      ParseNumber<int>(limit->substr(0, limit->find('\n')));
  ASSERT_THAT(events, IsOk());
  // Each is three events, none like the one before it.
  for (int i = 0; i <= *events / 3; ++i) {
    Touch("work/vm/noise");
    ASSERT_EQ(unlink(Path("work/vm/noise").c_str()), 0);
  }
  Bind(absl::StrCat("late/", kSocket));
  Remove("work/note");
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return news_.size() >= 2; }));
  EXPECT_THAT(news_, ElementsAre("+late/vm/qemu-balloon.socket", "-work/note"));
  news_.clear();
  EXPECT_THAT(News(), IsEmpty());
}

TEST_F(DiscoveryTest, RescanFindsNothingNew) {
  Touch("work/note");
  Start();
  News();
  discovery_->Rescan();
  EXPECT_THAT(News(), IsEmpty());
}

TEST_F(DiscoveryTest, MayBeDestroyedByItsHandler) {
  Touch("a/note");
  Touch("b/note");
  int calls = 0;
  std::unique_ptr<Discovery> discovery =
      *Discovery::Create(loop_.get(), root_, {"note"},
                         [&](const Discovery::File&, Discovery::Change) {
                           ++calls;
                           discovery.reset();
                         });
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return discovery == nullptr; }));
  EXPECT_EQ(calls, 1);
}

TEST(BalloonSocketsTest, AreWhereTheHypervisorsMakeThem) {
  std::map<std::string, config::Hypervisor> sockets;
  for (const BalloonSocket& socket : BalloonSockets()) {
    sockets[socket.name] = socket.hypervisor;
  }
  EXPECT_THAT(
      sockets,
      ElementsAre(
          std::pair("vm/cloud-hypervisor-control.socket",
                    config::Hypervisor::kCloudHypervisor),
          std::pair("vm/crosvm-control.socket", config::Hypervisor::kCrosvm),
          std::pair("vm/qemu-balloon.socket", config::Hypervisor::kQemu)));
}

}  // namespace
}  // namespace vmsilo::hypervisor
