#include "cli/silo_table.h"

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/service_manager.h"
#include "common/bytes.h"
#include "common/json.h"
#include "common/testing/status_matchers.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"

namespace vmsilo::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::vector<Silo> Silos() {
  config::Vm work;
  work.name = "work";
  work.hypervisor = config::Hypervisor::kQemu;
  work.cid = 4711;
  work.color = "#0000ff";
  work.memory = GiB(2);
  work.description = "the \x1b[31moffice";
  Silo running{.name = "work",
               .vm_unit = {.name = "vmsilo-work-vm.service",
                           .load_state = "loaded",
                           .active_state = "active",
                           .sub_state = "running",
                           .result = "success",
                           .main_pid = 1234,
                           .memory_bytes = 700 << 20,
                           .active_since = kNow - absl::Minutes(90)},
               .configured = work};
  running.other_units = {{.name = "vmsilo-work.socket",
                          .load_state = "loaded",
                          .active_state = "active",
                          .sub_state = "listening"},
                         {.name = "vmsilo-work-gpu.service",
                          .load_state = "not-found",
                          .active_state = "inactive"}};
  running.connections = 2;
  running.vm =
      hypervisor::VmStatus{.state = hypervisor::VmStatus::State::kRunning,
                           .version = "7.2.22",
                           .memory = GiB(1)};
  Silo failed{.name = "untrusted",
              .vm_unit = {.name = "vmsilo-untrusted-vm.service",
                          .load_state = "loaded",
                          .active_state = "failed",
                          .result = "exit-code",
                          .exit_status = 1}};
  Silo absent{
      .name = "x",
      .vm_unit = {.name = "vmsilo-x-vm.service", .load_state = "not-found"}};
  return {running, failed, absent};
}

TEST(ListTextTest, IsATable) {
  EXPECT_EQ(ListText(Silos(), Colours::kNone),
            "NAME       STATE          HYPERVISOR  CID   MEMORY\n"
            "work       running        qemu        4711  2G\n"
            "untrusted  failed         -           -     -\n"
            "x          not installed  -           -     -\n");
}

TEST(ListTextTest, ColoursNamesWithoutMovingColumns) {
  EXPECT_THAT(ListText(Silos(), Colours::kTrueColour),
              HasSubstr("\x1b[1;38;2;0;0;255mwork\x1b[0m       running"));
  EXPECT_THAT(ListText(Silos(), Colours::k256),
              HasSubstr("\x1b[1;38;5;21mwork\x1b[0m"));
}

TEST(ColouredTest, LeavesWhatIsNoColour) {
  EXPECT_EQ(Coloured("x", "red", Colours::kTrueColour), "x");
  EXPECT_EQ(Coloured("x", "#ff", Colours::kTrueColour), "x");
  EXPECT_EQ(Coloured("x", "#gggggg", Colours::kTrueColour), "x");
  EXPECT_EQ(Coloured("x", "#ff0000", Colours::kNone), "x");
}

TEST(StatusTextTest, SaysWhatIsKnown) {
  const std::string text =
      StatusText(Silos(), kNow, absl::UTCTimeZone(), Colours::kNone);
  EXPECT_THAT(text, AllOf(HasSubstr("work  running since 2027-01-15 06:30:00 "
                                    "(1 h 30 min)\n"),
                          HasSubstr("qemu 7.2.22, process 1234"),
                          HasSubstr("2G, of which the guest has 1G"),
                          HasSubstr("700M of the host's memory"),
                          HasSubstr("2 running"),
                          HasSubstr("vmsilo-work.socket: active (listening)"),
                          Not(HasSubstr("gpu")), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(text, HasSubstr("untrusted  failed\n  reason       "
                              "vmsilo-untrusted-vm.service exited with "
                              "status 1\n"));
}

TEST(ListJsonTest, IsJsonWithWhatIsKnown) {
  const auto json = ParseJson(ListJson(Silos()));
  ASSERT_THAT(json, IsOk());
  const Value::Array* array = json->AsArray();
  ASSERT_NE(array, nullptr);
  ASSERT_EQ(array->size(), 3u);
  const Value& work = (*array)[0];
  EXPECT_EQ(*work.Find("state")->AsString(), "running");
  EXPECT_EQ(*work.Find("cid")->AsInteger(), 4711);
  EXPECT_EQ(*work.Find("memoryBytes")->AsInteger(), int64_t{2} << 30);
  EXPECT_EQ(*work.Find("since")->AsString(), "2027-01-15T06:30:00+00:00");
  EXPECT_EQ(work.Find("units")->AsArray()->size(), 1u);
  EXPECT_EQ((*array)[1].Find("cid"), nullptr);
  EXPECT_EQ(*(*array)[1].Find("failure")->AsString(), "exited with status 1");
  EXPECT_EQ(ListJson({}), "[]\n");
}

}  // namespace
}  // namespace vmsilo::cli
