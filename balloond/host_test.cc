#include "balloond/host.h"

#include <fcntl.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/pressure_trigger.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kMeminfo[] =
    "MemTotal: 8192 kB\nMemFree: 1024 kB\nMemAvailable: 2048 kB\n";

class HostTest : public testing::Test {
 protected:
  UniqueFd OpenForReading(const std::string& name) {
    absl::StatusOr<UniqueFd> fd = Open(proc_.Path(name), O_RDONLY);
    EXPECT_THAT(fd, IsOk());
    return fd.ok() ? *std::move(fd) : UniqueFd();
  }

  TempDir proc_;
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(HostTest, ReadsTheFilesAsTheyAreNow) {
  proc_.Write("meminfo", kMeminfo);
  proc_.Write("pressure/memory", "some avg10=1.00 total=1000000\n");
  absl::StatusOr<Host> host = Host::Open(proc_.path());
  ASSERT_THAT(host, IsOk());
  EXPECT_THAT(host->pressure_status(), IsOk());
  absl::StatusOr<HostReading> reading = host->Read(now_);
  ASSERT_THAT(reading, IsOk());
  EXPECT_EQ(reading->total, 8192 << 10);
  EXPECT_EQ(reading->free, 1024 << 10);
  EXPECT_EQ(reading->available, 2048 << 10);
  EXPECT_EQ(reading->pressure, 1);

  proc_.Write("meminfo",
              "MemTotal: 8192 kB\nMemFree: 1 kB\nMemAvailable: 2 kB\n");
  proc_.Write("pressure/memory", "some avg10=1.00 total=1250000\n");
  EXPECT_EQ(host->WaitedSinceRead(), absl::Milliseconds(250));
  reading = host->Read(now_ + absl::Seconds(1));
  ASSERT_THAT(reading, IsOk());
  EXPECT_EQ(reading->available, 2048);
  EXPECT_EQ(reading->pressure, 25);
  EXPECT_EQ(host->WaitedSinceRead(), absl::ZeroDuration());
}

TEST_F(HostTest, CannotDoWithoutMeminfo) {
  EXPECT_THAT(Host::Open(proc_.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("meminfo")));
}

TEST_F(HostTest, SaysWhatIsWrongWithMeminfo) {
  proc_.Write("meminfo", "MemTotal: 1 kB\n");
  absl::StatusOr<Host> host = Host::Open(proc_.path());
  ASSERT_THAT(host, IsOk());
  EXPECT_THAT(host->Read(now_), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("/proc/meminfo: MemFree")));
}

TEST_F(HostTest, HasNoPressureWhereTheKernelHasNone) {
  proc_.Write("meminfo", kMeminfo);
  absl::StatusOr<Host> host = Host::Open(proc_.path());
  ASSERT_THAT(host, IsOk());
  EXPECT_THAT(host->pressure_status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("pressure")));
  absl::StatusOr<HostReading> reading = host->Read(now_);
  ASSERT_THAT(reading, IsOk());
  EXPECT_EQ(reading->pressure, 0);
  EXPECT_EQ(host->WaitedSinceRead(), absl::ZeroDuration());
}

// What reading /proc/pressure/memory gives is EOPNOTSUPP then; a directory
// gives another error in its place.
TEST_F(HostTest, HasNoPressureWhereItIsOffAtBoot) {
  proc_.Write("meminfo", kMeminfo);
  proc_.Write("pressure/memory/file", "");
  absl::StatusOr<Host> host = Host::Open(proc_.path());
  ASSERT_THAT(host, IsOk());
  EXPECT_FALSE(host->pressure_status().ok());
  EXPECT_THAT(host->Read(now_), IsOk());
}

TEST_F(HostTest, GivesPressureUpThatCannotBeReadAnyMore) {
  proc_.Write("meminfo", kMeminfo);
  proc_.Write("pressure/memory", "some avg10=50.00 total=1\n");
  absl::StatusOr<Host> host = Host::Open(proc_.path());
  ASSERT_THAT(host, IsOk());
  proc_.Write("pressure/memory", "");
  absl::StatusOr<HostReading> reading = host->Read(now_);
  ASSERT_THAT(reading, IsOk());
  EXPECT_EQ(reading->pressure, 0);
  EXPECT_FALSE(host->pressure_status().ok());
}

TEST_F(HostTest, KnowsWhatVmsOccupyWhileItCanBeRead) {
  proc_.Write("meminfo", kMeminfo);
  proc_.Write("one/memory.stat", "anon 4096\nshmem 0\n");
  proc_.Write("two/memory.stat", "anon 0\nshmem 8192\n");
  absl::StatusOr<Host> host = Host::Open(proc_.path());
  ASSERT_THAT(host, IsOk());
  host->Watch(1, OpenForReading("one/memory.stat"));
  host->Watch(2, OpenForReading("two/memory.stat"));
  absl::StatusOr<HostReading> reading = host->Read(now_);
  ASSERT_THAT(reading, IsOk());
  EXPECT_THAT(reading->resident, ElementsAre(Pair(1, 4096), Pair(2, 8192)));

  // As a control group that has gone, but with another error.
  proc_.Write("one/memory.stat", "");
  reading = host->Read(now_);
  ASSERT_THAT(reading, IsOk());
  EXPECT_THAT(reading->resident, ElementsAre(Pair(2, 8192)));
  host->Forget(2);
  reading = host->Read(now_);
  ASSERT_THAT(reading, IsOk());
  EXPECT_THAT(reading->resident, IsEmpty());
}

// A kernel that takes what `accepts` says.
class Kernel {
 public:
  explicit Kernel(std::vector<std::string> accepts)
      : accepts_(std::move(accepts)) {}

  PressureTrigger::Arm arm() {
    return [this](const std::string& trigger) -> absl::StatusOr<UniqueFd> {
      asked_.push_back(trigger);
      for (const std::string& accepted : accepts_) {
        if (trigger == accepted) return UniqueFd(dup(0));
      }
      return absl::InvalidArgumentError("Invalid argument");
    };
  }
  const std::vector<std::string>& asked() const { return asked_; }

 private:
  std::vector<std::string> accepts_;
  std::vector<std::string> asked_;
};

TEST(PressureTriggerTest, FiresAtHalfOfTheCeilingInHalfASecond) {
  Kernel kernel({"some 50000 500000"});
  const absl::StatusOr<PressureTrigger> trigger =
      PressureTrigger::Open(20, kernel.arm());
  ASSERT_THAT(trigger, IsOk());
  EXPECT_GE(trigger->fd(), 0);
  EXPECT_EQ(trigger->stall(), absl::Milliseconds(50));
  EXPECT_EQ(trigger->window(), absl::Milliseconds(500));
}

TEST(PressureTriggerTest, TakesWhatUnprivilegedProgramsGet) {
  Kernel kernel({"some 200000 2000000"});
  const absl::StatusOr<PressureTrigger> trigger =
      PressureTrigger::Open(20, kernel.arm());
  ASSERT_THAT(trigger, IsOk());
  EXPECT_THAT(kernel.asked(),
              ElementsAre("some 50000 500000", "some 200000 2000000"));
  EXPECT_EQ(trigger->stall(), absl::Milliseconds(200));
}

TEST(PressureTriggerTest, SaysWhenThereIsNone) {
  Kernel kernel({});
  EXPECT_THAT(PressureTrigger::Open(20, kernel.arm()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(kernel.asked().size(), 2);
}

TEST(PressureTriggerTest, IsNotWantedWithoutACeiling) {
  Kernel kernel({"some 1 500000"});
  EXPECT_FALSE(PressureTrigger::Open(0, kernel.arm()).ok());
  EXPECT_THAT(kernel.asked(), IsEmpty());
}

TEST(PressureTriggerTest, NeverAsksForNoTimeOrMoreThanTheWindow) {
  Kernel kernel({"some 1 500000", "some 250000 500000"});
  EXPECT_THAT(PressureTrigger::Open(1e-9, kernel.arm()), IsOk());
  EXPECT_THAT(PressureTrigger::Open(100, kernel.arm()), IsOk());
}

TEST(PressureTriggerTest, WritesTheTriggerWithItsEnd) {
  const TempDir dir;
  const std::string path = dir.Write("memory", "");
  EXPECT_THAT(PressureTrigger::ArmFile(path, "some 1 2"), IsOk());
  EXPECT_THAT(ReadFile(path, 100), IsOkAndHolds(std::string("some 1 2\0", 9)));
  EXPECT_THAT(PressureTrigger::ArmFile(dir.Path("absent"), "some 1 2"),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace vmsilo::balloond
