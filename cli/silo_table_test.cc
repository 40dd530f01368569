#include "cli/silo_table.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/service_manager.h"
#include "common/bytes.h"
#include "common/json.h"
#include "common/testing/status_matchers.h"
#include "config/config.h"
#include "console/message.h"
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

TEST(ConsoleTest, SaysWhatTheRelaySays) {
  std::vector<Silo> silos = Silos();
  silos.resize(1);
  const auto text = [&silos] {
    return StatusText(silos, kNow, absl::UTCTimeZone(), Colours::kNone);
  };
  EXPECT_THAT(text(), Not(HasSubstr("console")));
  EXPECT_THAT(ListJson(silos), Not(HasSubstr("console")));

  console::Status status = {.has_guest = true,
                            .is_terminal_open = true,
                            .viewers = 2,
                            .has_writer = true,
                            .from_guest = 70000,
                            .to_guest = 12,
                            .guest_connections = 3,
                            .scrollback = 1 << 20};
  silos[0].console = status;
  EXPECT_THAT(text(),
              HasSubstr("  console      machine connected, 2 viewers, one of "
                        "them types, terminal open\n"
                        "               70000 bytes from the guest, 12 to "
                        "it\n"));
  EXPECT_THAT(text(), Not(HasSubstr("lost")));
  EXPECT_THAT(
      ListJson(silos),
      AllOf(
          HasSubstr("\"relay\": \"running\""), HasSubstr("\"connected\": true"),
          HasSubstr("\"terminalOpen\": true"), HasSubstr("\"hasWriter\": true"),
          HasSubstr("\"viewers\": 2"), HasSubstr("\"bytesFromGuest\": 70000"),
          HasSubstr("\"bytesToGuest\": 12"), HasSubstr("\"connections\": 3"),
          HasSubstr("\"scrollbackBytes\": 1048576")));

  silos[0].console = console::Status{
      .viewers = 1, .to_guest_lost = 5, .terminal_lost = 6, .log_lost = 7};
  EXPECT_THAT(text(),
              AllOf(HasSubstr("no machine connected, 1 viewer\n"),
                    HasSubstr("lost: 5 bytes typed while no machine was "
                              "connected, 6 bytes not read from the terminal "
                              "in time, 7 bytes not written to the log\n")));
  EXPECT_THAT(ListJson(silos), AllOf(HasSubstr("\"bytesToGuestLost\": 5"),
                                     HasSubstr("\"bytesTerminalLost\": 6"),
                                     HasSubstr("\"bytesLogLost\": 7")));
}

TEST(ConsoleTest, SaysWhyTheRelaySaysNothing) {
  std::vector<Silo> silos = Silos();
  silos.resize(1);
  const struct {
    absl::Status status;
    const char* word;
    const char* text;
  } kCases[] = {
      {absl::NotFoundError("x"), "absent", "its relay does not run\n"},
      {absl::UnavailableError("x"), "absent", "its relay does not run\n"},
      {absl::PermissionDeniedError("x"), "forbidden",
       "only the desktop user and root may ask its relay\n"},
      {absl::DeadlineExceededError("x"), "silent",
       "its relay does not answer\n"},
      {absl::ResourceExhaustedError("16 viewers"), "failed",
       "its relay: 16 viewers\n"},
  };
  for (const auto& [status, word, words] : kCases) {
    silos[0].console = status;
    EXPECT_THAT(StatusText(silos, kNow, absl::UTCTimeZone(), Colours::kNone),
                HasSubstr(std::string("  console      ") + words));
    EXPECT_THAT(ListJson(silos),
                HasSubstr(std::string("\"relay\": \"") + word + "\""));
  }
}

}  // namespace
}  // namespace vmsilo::cli
