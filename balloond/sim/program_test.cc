#include "balloond/sim/program.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "balloond/sim/commands.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/options.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond::sim {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::Status RunWith(const std::vector<std::string>& arguments,
                     Flags* flags = nullptr) {
  Flags own;
  if (flags == nullptr) flags = &own;
  const Program program = MakeProgram(flags, RunCommand);
  const absl::StatusOr<Invocation> invocation =
      ParseCommandLine(program, arguments);
  if (!invocation.ok()) return invocation.status();
  return invocation->command->run(invocation->operands);
}

TEST(ProgramTest, UnderstandsWhatAWorldIsLike) {
  Flags flags;
  const Program program = MakeProgram(
      &flags, [](const Flags& /*flags*/) { return absl::OkStatus(); });
  ASSERT_THAT(ParseCommandLine(program, {"--lag",
                                         "500ms",
                                         "--renewal=1s",
                                         "--rho-in",
                                         "200",
                                         "--rho-out",
                                         "500",
                                         "--reporting",
                                         "--swap",
                                         "4G",
                                         "--psi-ceiling",
                                         "12.5",
                                         "--critical-host-percent",
                                         "3",
                                         "--critical-guest-available",
                                         "100M",
                                         "--guest-available-bias",
                                         "0",
                                         "--memory",
                                         "16G"}),
              IsOk());
  EXPECT_EQ(flags.run.lag, absl::Milliseconds(500));
  EXPECT_EQ(flags.run.renewal, absl::Seconds(1));
  EXPECT_EQ(flags.run.world.guest.rates.inflate, 200);
  EXPECT_EQ(flags.run.world.guest.rates.deflate, 500);
  EXPECT_TRUE(flags.run.world.guest.reports_free_pages);
  EXPECT_EQ(flags.run.world.host.swap, 4096);
  EXPECT_EQ(flags.run.settings.psi_ceiling, 12.5);
  EXPECT_EQ(flags.run.settings.critical_host_percent, 3);
  EXPECT_EQ(flags.run.settings.critical_guest_available, 100 << 20);
  EXPECT_EQ(flags.run.settings.guest_available_bias, 0);
  EXPECT_EQ(flags.memory, 16384);
}

TEST(ProgramTest, SealedDesksStaySealed) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--seeds", "1-11"},
        {"--seeds", "20"},
        {"--scenario", "desk15"},
        {"--print-trace", "desk11"}}) {
    const absl::Status status = RunWith(arguments);
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("sealed"), HasSubstr("--final"))));
    EXPECT_EQ(ExitCodeFor(status), kExitUsage);
  }
}

TEST(ProgramTest, FinalOpensThemAndSaysSo) {
  testing::internal::CaptureStdout();
  EXPECT_THAT(RunWith({"--final", "--policy", "none", "--scenario", "desk",
                       "--seeds", "11"}),
              IsOk());
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              StartsWith("The sealed desks are open.\n"));
}

TEST(ProgramTest, WrongNamesAreNamed) {
  EXPECT_THAT(RunWith({"--policy", "best"}),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("'best'"), HasSubstr("chromeos"))));
  EXPECT_THAT(RunWith({"--policy", "none", "--scenario", "spikes"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("'spikes'")));
  EXPECT_EQ(ExitCodeFor(RunWith({"--policy", "best"})), kExitUsage);
  EXPECT_EQ(ExitCodeFor(RunWith({"--scenario", "spikes"})), kExitUsage);
}

TEST(ProgramTest, WrongSeedsAreRefused) {
  for (const char* seeds : {"0", "21", "5-3", "1-2-3", "a"}) {
    const absl::Status status = RunWith({"--seeds", seeds});
    EXPECT_FALSE(status.ok()) << seeds;
    EXPECT_EQ(ExitCodeFor(status), kExitUsage) << seeds;
    EXPECT_THAT(std::string(status.message()), StartsWith("--seeds"));
  }
}

TEST(ProgramTest, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_EQ(ExitCodeFor(RunWith({"--samples", "/nowhere"})), kExitUsage);
  EXPECT_EQ(ExitCodeFor(RunWith(
                {"--plot", "/nowhere", "--memory", "16G", "--policy", "none"})),
            kExitUsage);
  EXPECT_EQ(ExitCodeFor(RunWith({"--samples", "/nowhere", "--memory", "16G",
                                 "--scenario", "idle"})),
            kExitUsage);
}

TEST(ProgramTest, RunsATraceFromAFile) {
  testing::internal::CaptureStdout();
  EXPECT_THAT(RunWith({"--policy", "none,oracle", "--trace",
                       "balloond/sim/testdata/trace_corpus/two_vms"}),
              IsOk());
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_THAT(text, StartsWith("policy  example"));
  EXPECT_THAT(text, HasSubstr("\noracle"));
}

TEST(ProgramTest, ABadTraceIsBadInput) {
  const absl::Status status =
      RunWith({"--trace", "balloond/sim/testdata/trace_corpus/other_version"});
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("other_version"), HasSubstr("line 1")));
  EXPECT_EQ(ExitCodeFor(status), kExitDataError);
}

TEST(ProgramTest, WhatItPrintsItReads) {
  const TempDir directory;
  testing::internal::CaptureStdout();
  ASSERT_THAT(RunWith({"--print-trace", "idle"}), IsOk());
  const std::string trace = testing::internal::GetCapturedStdout();
  const std::string path = directory.path() + "/idle";
  ASSERT_THAT(WriteFileAtomically(path, trace, 0600), IsOk());
  testing::internal::CaptureStdout();
  EXPECT_THAT(RunWith({"--policy", "chromeos", "--trace", path}), IsOk());
  const std::string from_file = testing::internal::GetCapturedStdout();
  testing::internal::CaptureStdout();
  EXPECT_THAT(RunWith({"--policy", "chromeos", "--scenario", "idle"}), IsOk());
  EXPECT_EQ(testing::internal::GetCapturedStdout(), from_file);
}

TEST(ProgramTest, WritesSamplesAndADrawing) {
  const TempDir directory;
  const std::string samples = directory.path() + "/samples";
  const std::string plot = directory.path() + "/plot";
  testing::internal::CaptureStdout();
  ASSERT_THAT(RunWith({"--policy", "none", "--scenario", "idle", "--memory",
                       "4G", "--samples", samples, "--plot", plot}),
              IsOk());
  (void)testing::internal::GetCapturedStdout();
  const absl::StatusOr<std::string> lines = ReadFile(samples, 10 << 20);
  ASSERT_THAT(lines, IsOk());
  EXPECT_THAT(*lines, StartsWith("time,vm,resident,"));
  EXPECT_THAT(*lines, HasSubstr("\n180.00,host,"));
  const absl::StatusOr<std::string> drawing = ReadFile(plot, 1 << 20);
  ASSERT_THAT(drawing, IsOk());
  EXPECT_THAT(*drawing, AllOf(StartsWith("<svg "), EndsWith("</svg>\n"),
                              HasSubstr(">none</text>")));
  // Eight guests do not fit into 4 GiB.
  EXPECT_THAT(*drawing, HasSubstr("<rect class=\"harm\""));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
