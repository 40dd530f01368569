#include "cli/balloon_table.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "balloon/message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMiB = int64_t{1} << 20;

balloon::Status Example() {
  balloon::Status status = {.policy = "level"};
  status.host = {.total = 32768 * kMiB,
                 .available = 9000 * kMiB,
                 .critical = 1638 * kMiB,
                 .pressure = 0.25,
                 .exposure = 4096 * kMiB};
  status.vms = {{.name = "net",
                 .hypervisor = "crosvm",
                 .reason = "excluded",
                 .excluded = "passed-through devices",
                 .memory = 1024 * kMiB},
                {.name = "work",
                 .hypervisor = "qemu",
                 .is_managed = true,
                 .reason = "shared",
                 .memory = 4096 * kMiB,
                 .balloon = 1024 * kMiB,
                 .target = 1000 * kMiB,
                 .free = 500 * kMiB,
                 .caches = 300 * kMiB,
                 .available = 700 * kMiB,
                 .resident = 2900 * kMiB}};
  return status;
}

TEST(BalloonTableTest, ShowsHostAndSilos) {
  EXPECT_EQ(
      BalloonTable(Example(), 0),
      "host: 9000M of 32.0G available, 1638M its own, pressure 0.2 %\n"
      "silos may take 4096M more; policy level\n"
      "\n"
      "SILO  MEMORY   USED  AVAILABLE  BALLOON  TARGET  OCCUPIES  WHY\n"
      "net    1024M      -          -        -       -         -  left alone: "
      "passed-through devices\n"
      "work   4096M  2272M       700M    1024M   1000M     2900M  its share "
      "has changed\n");
}

TEST(BalloonTableTest, SaysThatNothingIsReallyDone) {
  balloon::Status status = Example();
  status.is_dry_run = true;
  EXPECT_THAT(BalloonTable(status, 0), HasSubstr("policy level, dry run\n"));
}

TEST(BalloonTableTest, NoLineIsWiderThanTheTerminal) {
  for (const absl::string_view line :
       absl::StrSplit(BalloonTable(Example(), 40), '\n')) {
    EXPECT_LE(line.size(), 40u) << line;
  }
}

TEST(BalloonTableTest, WhatAGuestMakesUpIsNotCalculatedWith) {
  balloon::Status status = Example();
  status.vms[1].free = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(BalloonLine(status.vms[1]), Not(HasSubstr("used")));
  status.vms[1].free = 4000 * kMiB;
  EXPECT_THAT(BalloonLine(status.vms[1]), Not(HasSubstr("used")));
}

TEST(BalloonLineTest, SaysWhatIsKnown) {
  const balloon::Status status = Example();
  EXPECT_EQ(BalloonLine(status.vms[1]),
            "1024M given up (1000M asked for), 2272M used, 700M available, its "
            "share has changed");
  EXPECT_EQ(BalloonLine(status.vms[0]), "left alone: passed-through devices");
}

TEST(BalloonReasonTest, HasWordsAndWhatWentWrong) {
  EXPECT_EQ(BalloonReason({.reason = "unmanaged", .error = "no driver"}),
            "says nothing: no driver");
  EXPECT_EQ(BalloonReason({.reason = "fixed"}), "set by a person");
  // Of a later version.
  EXPECT_EQ(BalloonReason({.reason = "borrowed"}), "borrowed");
}

TEST(MemoryTextTest, IsRough) {
  EXPECT_EQ(MemoryText(0), "0M");
  EXPECT_EQ(MemoryText(1536 * kMiB + 5), "1536M");
  EXPECT_EQ(MemoryText(10240 * kMiB), "10.0G");
}

}  // namespace
}  // namespace vmsilo::cli
