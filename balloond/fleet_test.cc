#include "balloond/fleet.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloon/limits.h"
#include "balloon/vm_file.h"
#include "balloond/controller.h"
#include "balloond/host.h"
#include "balloond/journal.h"
#include "balloond/rounds.h"
#include "balloond/testing/fake_controller.h"
#include "balloond/testing/fake_guest.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/epoll_event_loop.h"
#include "common/file.h"
#include "common/log.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::SizeIs;

constexpr char kUnit[] = "vmsilo-work-vm.service";

balloon::VmFile FileOf(uint64_t guaranteed_mib) {
  return {.hypervisor = "qemu",
          .unit = kUnit,
          .memory = GiB(4),
          .guaranteed = MiB(guaranteed_mib)};
}

TEST(ReadVmFileTest, ReadsWhatRootHasWritten) {
  const TempDir dir;
  dir.Write("work/balloon.json", balloon::PrintVmFile(FileOf(512)));
  EXPECT_THAT(ReadVmFile(dir.path(), "work"), IsOkAndHolds(FileOf(512)));
  EXPECT_THAT(ReadVmFile(dir.path(), "other"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(ReadVmFileTest, BelievesNobodyElse) {
  const TempDir dir;
  const std::string path =
      dir.Write("work/balloon.json", balloon::PrintVmFile(FileOf(512)));
  for (const mode_t mode : {0664, 0646, 0666}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_THAT(ReadVmFile(dir.path(), "work"),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("'work/balloon.json' is not root's alone")));
  }
}

TEST(ReadVmFileTest, FollowsNoLinkAndTakesFilesOnly) {
  const TempDir dir;
  dir.Write("secret", balloon::PrintVmFile(FileOf(512)));
  std::filesystem::create_directory(dir.Path("work"));
  std::filesystem::create_symlink("../secret", dir.Path("work/balloon.json"));
  EXPECT_FALSE(ReadVmFile(dir.path(), "work").ok());
  std::filesystem::create_directory_symlink("work", dir.Path("link"));
  EXPECT_FALSE(ReadVmFile(dir.path(), "link").ok());
  // Opening a FIFO would wait for a writer.
  std::filesystem::create_directory(dir.Path("fifo"));
  ASSERT_EQ(mkfifo(dir.Path("fifo/balloon.json").c_str(), 0600), 0);
  EXPECT_THAT(ReadVmFile(dir.path(), "fifo"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ReadVmFileTest, SaysWhichFileIsWrong) {
  const TempDir dir;
  dir.Write("work/balloon.json", "{}");
  dir.Write("long/balloon.json",
            std::string(balloon::kMaxVmFileBytes + 1, ' '));
  EXPECT_THAT(ReadVmFile(dir.path(), "work"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("'work/balloon.json': file.")));
  EXPECT_FALSE(ReadVmFile(dir.path(), "long").ok());
}

class FleetTest : public testing::Test, public Rounds::Observer {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<EpollEventLoop>> loop =
        EpollEventLoop::Create();
    ASSERT_THAT(loop, IsOk());
    loop_ = *std::move(loop);
    proc_.Write("meminfo",
                "MemTotal: 8192 kB\nMemFree: 1024 kB\nMemAvailable: 2048 kB\n");
    absl::StatusOr<Host> host = Host::Open(proc_.path());
    ASSERT_THAT(host, IsOk());
    host_.emplace(*std::move(host));
    Begin();
  }

  // A daemon, or the next one.
  void Begin() {
    fleet_.reset();
    rounds_.reset();
    controller_ = FakeController();
    rounds_.emplace(loop_.get(), &clock_, &*host_, &controller_, this,
                    Rounds::Options{});
    ASSERT_THAT(rounds_->Start(), IsOk());
    fleet_.emplace(&*rounds_, &*host_, &journal_, run_.path(),
                   run_.Path(".balloond/wishes.json"),
                   Fleet::Roots{.proc = proc_.path(), .cgroup = cgroup_.path()},
                   [this](const Found& found, std::optional<std::string> unit,
                          std::function<void(pid_t)> on_peer) {
                     auto guest =
                         std::make_unique<FakeGuest>(loop_.get(), GiB(4));
                     std::unique_ptr<hypervisor::BalloonClient> client =
                         guest->MakeClient();
                     guests_.push_back(std::move(guest));
                     units_[found.name] = std::move(unit);
                     on_peer_[found.name] = std::move(on_peer);
                     return client;
                   });
    fleet_->Start();
  }

  void Find(const std::string& name,
            config::Hypervisor hypervisor = config::Hypervisor::kQemu) {
    fleet_->OnSocket({.name = name,
                      .hypervisor = hypervisor,
                      .socket = SocketOf(name, hypervisor)});
  }
  void Lose(const std::string& name,
            config::Hypervisor hypervisor = config::Hypervisor::kQemu) {
    fleet_->OnSocketGone(name, SocketOf(name, hypervisor));
  }
  static std::string SocketOf(const std::string& name,
                              config::Hypervisor hypervisor) {
    return absl::StrCat("/run/", name, "/", config::ToString(hypervisor));
  }

  const VmTraits& TraitsOf(const std::string& name) {
    return controller_.vm(fleet_->silos().at(name).id).traits;
  }

  void OnHostError(const absl::Status&) override {}
  void OnSampleError(VmId, const absl::Status&) override {}
  void OnResize(const Resize&) override {}
  void OnResizeError(VmId, const absl::Status&) override {}
  void OnRound(const HostReading&) override {}

  TempDir run_;
  TempDir proc_;
  TempDir cgroup_;
  const MonotonicClock clock_;
  std::vector<std::string> lines_;
  Journal journal_{&clock_, [this](LogLevel level, const std::string& text) {
                     if (level <= LogLevel::kInfo) lines_.push_back(text);
                   }};
  std::unique_ptr<EpollEventLoop> loop_;
  std::optional<Host> host_;
  FakeController controller_;
  std::vector<std::unique_ptr<FakeGuest>> guests_;
  std::map<std::string, std::optional<std::string>> units_;
  std::map<std::string, std::function<void(pid_t)>> on_peer_;
  std::optional<Rounds> rounds_;
  std::optional<Fleet> fleet_;
};

TEST_F(FleetTest, ASiloOfWhichNothingIsKnownTakesPart) {
  Find("work");
  EXPECT_EQ(TraitsOf("work").name, "work");
  EXPECT_EQ(TraitsOf("work").memory, 0);
  EXPECT_FALSE(TraitsOf("work").is_excluded);
  EXPECT_EQ(units_["work"], std::nullopt);
  EXPECT_THAT(lines_, ElementsAre("silo 'work' runs under qemu, its memory "
                                  "takes part"));
}

TEST_F(FleetTest, WhatIsWrittenAboutASiloCounts) {
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(512)));
  Find("work");
  EXPECT_EQ(TraitsOf("work").memory, int64_t{4} << 30);
  EXPECT_EQ(TraitsOf("work").guaranteed, 512 << 20);
  EXPECT_EQ(units_["work"], kUnit);
}

TEST_F(FleetTest, ASiloMayBeLeftAlone) {
  balloon::VmFile file = FileOf(0);
  file.excluded = "huge pages";
  run_.Write("work/balloon.json", balloon::PrintVmFile(file));
  Find("work");
  EXPECT_TRUE(TraitsOf("work").is_excluded);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("left alone: huge pages")));
}

TEST_F(FleetTest, AFileThatIsWrongKeepsTheSiloOut) {
  run_.Write("work/balloon.json", "{");
  Find("work");
  EXPECT_TRUE(TraitsOf("work").is_excluded);
  EXPECT_THAT(lines_,
              ElementsAre(HasSubstr("'work/balloon.json'"), HasSubstr("left")));
}

TEST_F(FleetTest, RootSaysWhichHypervisorItIs) {
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(0)));
  // The silo's own user can make any socket there.
  Find("work", config::Hypervisor::kCrosvm);
  EXPECT_THAT(controller_.vms(), IsEmpty());
  Find("work");
  ASSERT_THAT(controller_.vms(), SizeIs(1));
  EXPECT_EQ(fleet_->silos().at("work").found.hypervisor,
            config::Hypervisor::kQemu);
  const VmId id = fleet_->silos().at("work").id;
  Find("work", config::Hypervisor::kCloudHypervisor);
  Lose("work", config::Hypervisor::kCrosvm);
  EXPECT_EQ(fleet_->silos().at("work").id, id);
  Lose("work");
  EXPECT_THAT(controller_.vms(), IsEmpty());
}

TEST_F(FleetTest, OneSocketCountsWhereRootSaysNothing) {
  Find("work", config::Hypervisor::kQemu);
  Find("work", config::Hypervisor::kCrosvm);
  EXPECT_THAT(controller_.vms(), SizeIs(1));
  Lose("work", config::Hypervisor::kCrosvm);
  EXPECT_THAT(controller_.vms(), SizeIs(1));
  EXPECT_EQ(fleet_->silos().at("work").found.hypervisor,
            config::Hypervisor::kQemu);
}

TEST_F(FleetTest, ReadsAFileThatHasChanged) {
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(512)));
  Find("work");
  const VmId id = fleet_->silos().at("work").id;
  ASSERT_THAT(fleet_->Set("work", 1 << 20), IsOk());
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(1024)));
  fleet_->OnFile("work");
  EXPECT_EQ(TraitsOf("work").guaranteed, 1024 << 20);
  // It is the same VM, and the person still wants the same.
  EXPECT_EQ(fleet_->silos().at("work").id, id);
  EXPECT_EQ(TraitsOf("work").fixed_balloon, 1 << 20);
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(256)));
  fleet_->Reread();
  EXPECT_EQ(TraitsOf("work").guaranteed, 256 << 20);
  // Of a silo that does not run.
  run_.Write("other/balloon.json", balloon::PrintVmFile(FileOf(512)));
  fleet_->OnFile("other");
  EXPECT_THAT(controller_.vms(), SizeIs(1));
}

TEST_F(FleetTest, SpeaksToOtherPeersWhenTheUnitIsKnown) {
  Find("work");
  EXPECT_EQ(units_["work"], std::nullopt);
  ASSERT_THAT(fleet_->Set("work", 1 << 20), IsOk());
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(0)));
  fleet_->OnFile("work");
  EXPECT_EQ(units_["work"], kUnit);
  EXPECT_FALSE(guests_[0]->has_client());
  EXPECT_TRUE(guests_[1]->has_client());
  EXPECT_EQ(TraitsOf("work").fixed_balloon, 1 << 20);
  ASSERT_TRUE(std::filesystem::remove(run_.Path("work/balloon.json")));
  fleet_->OnFile("work");
  EXPECT_EQ(units_["work"], std::nullopt);
}

TEST_F(FleetTest, ASiloThatComesAgainIsAnotherOne) {
  Find("work");
  const VmId first = fleet_->silos().at("work").id;
  Find("work");
  const VmId second = fleet_->silos().at("work").id;
  EXPECT_NE(first, second);
  EXPECT_THAT(controller_.vms(), ElementsAre(Key(second)));
  EXPECT_EQ(fleet_->Find(first), nullptr);
  Lose("work");
  EXPECT_THAT(controller_.vms(), IsEmpty());
  EXPECT_FALSE(guests_[0]->has_client());
  EXPECT_FALSE(guests_[1]->has_client());
  EXPECT_EQ(lines_.back(), "silo 'work' has ended");
  Lose("work");
}

TEST_F(FleetTest, AWishHoldsUntilTheSiloStops) {
  Find("work");
  EXPECT_THAT(fleet_->Set("work", 100 << 20), IsOk());
  EXPECT_EQ(TraitsOf("work").fixed_balloon, 100 << 20);
  EXPECT_THAT(fleet_->Set("work", std::nullopt), IsOk());
  EXPECT_EQ(TraitsOf("work").fixed_balloon, std::nullopt);
  EXPECT_THAT(fleet_->Set("work", 200 << 20), IsOk());
  Lose("work");
  Find("work");
  EXPECT_EQ(TraitsOf("work").fixed_balloon, std::nullopt);
}

TEST_F(FleetTest, AWishSurvivesTheDaemon) {
  run_.Write(".balloond/lock", "");
  Find("work");
  Find("net");
  EXPECT_THAT(fleet_->Set("work", 100 << 20), IsOk());
  EXPECT_THAT(fleet_->Set("net", 50 << 20), IsOk());
  Begin();
  Find("work");
  fleet_->OnScanned();
  EXPECT_EQ(TraitsOf("work").fixed_balloon, 100 << 20);
  // It was not there when the next one looked: it is another when it comes.
  Find("net");
  EXPECT_EQ(TraitsOf("net").fixed_balloon, std::nullopt);
  Begin();
  Find("net");
  EXPECT_EQ(TraitsOf("net").fixed_balloon, std::nullopt);
}

TEST_F(FleetTest, WishesThatMakeNoSenseAreNone) {
  for (const char* text : {"{", "[]", R"({"work":-1})", R"({"work":"1G"})"}) {
    run_.Write(".balloond/wishes.json", text);
    Begin();
    Find("work");
    EXPECT_EQ(TraitsOf("work").fixed_balloon, std::nullopt) << text;
  }
}

TEST_F(FleetTest, RefusesWishesThatCannotBe) {
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(1024)));
  balloon::VmFile excluded = FileOf(0);
  excluded.excluded = "configuration";
  run_.Write("bank/balloon.json", balloon::PrintVmFile(excluded));
  Find("work");
  Find("bank");
  EXPECT_THAT(fleet_->Set("wrok", 1), StatusIs(absl::StatusCode::kNotFound,
                                               HasSubstr("no silo 'wrok'")));
  EXPECT_THAT(fleet_->Set("bank", 1),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("left alone: configuration")));
  EXPECT_THAT(fleet_->Set("work", (int64_t{3} << 30) + 1),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("can give up 3072M at most")));
  EXPECT_EQ(TraitsOf("work").fixed_balloon, std::nullopt);
  EXPECT_THAT(fleet_->Set("work", int64_t{3} << 30), IsOk());
}

TEST_F(FleetTest, KnowsWhatASiloOccupiesByItsUnitsControlGroup) {
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(0)));
  Find("work");
  proc_.Write("123/cgroup",
              absl::StrCat("0::/silos.slice/", kUnit, "/inner\n"));
  cgroup_.Write(absl::StrCat("silos.slice/", kUnit, "/memory.stat"),
                "anon 4096\nshmem 0\n");
  on_peer_["work"](123);
  const VmId id = fleet_->silos().at("work").id;
  absl::StatusOr<HostReading> reading = host_->Read(clock_.Now());
  ASSERT_THAT(reading, IsOk());
  EXPECT_EQ(reading->resident, (std::map<VmId, int64_t>{{id, 4096}}));
  Lose("work");
  reading = host_->Read(clock_.Now());
  ASSERT_THAT(reading, IsOk());
  EXPECT_THAT(reading->resident, IsEmpty());
}

TEST_F(FleetTest, WhatItOccupiesIsUnknownElsewhere) {
  run_.Write("work/balloon.json", balloon::PrintVmFile(FileOf(0)));
  Find("work");
  Find("hand");
  cgroup_.Write("user.slice/memory.stat", "anon 4096\nshmem 0\n");
  proc_.Write("1/cgroup", "0::/user.slice\n");
  proc_.Write("2/cgroup", "12:memory:/a\n");
  proc_.Write("3/cgroup", absl::StrCat("0::/gone/", kUnit, "\n"));
  for (const pid_t pid : {1, 2, 3, 4}) on_peer_["work"](pid);
  // Started by hand: its group may have anything else in it.
  on_peer_["hand"](1);
  const absl::StatusOr<HostReading> reading = host_->Read(clock_.Now());
  ASSERT_THAT(reading, IsOk());
  EXPECT_THAT(reading->resident, IsEmpty());
}

TEST_F(FleetTest, LeavesThoseAloneThatAreTooMany) {
  for (size_t i = 0; i <= balloon::kMaxVms + 1; ++i) Find(absl::StrCat("s", i));
  EXPECT_EQ(fleet_->silos().size(), balloon::kMaxVms);
  EXPECT_EQ(controller_.vms().size(), balloon::kMaxVms);
  EXPECT_THAT(lines_.back(), HasSubstr("'s256' and those that come after"));
  EXPECT_EQ(lines_.size(), balloon::kMaxVms + 1);
}

}  // namespace
}  // namespace vmsilo::balloond
