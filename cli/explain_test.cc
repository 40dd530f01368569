#include "cli/explain.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/service_manager.h"
#include "command/frame.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using absl::StatusCode;
using command::ErrorCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

UnitState Unit(absl::string_view active, absl::string_view result = "success") {
  return {.name = "vmsilo-work-vm.service",
          .load_state = "loaded",
          .active_state = std::string(active),
          .result = std::string(result)};
}

TEST(StateOfTest, Table) {
  EXPECT_EQ(StateOf(Unit("active")), SiloState::kRunning);
  EXPECT_EQ(StateOf(Unit("reloading")), SiloState::kRunning);
  EXPECT_EQ(StateOf(Unit("activating")), SiloState::kStarting);
  EXPECT_EQ(StateOf(Unit("deactivating")), SiloState::kStopping);
  EXPECT_EQ(StateOf(Unit("inactive")), SiloState::kStopped);
  EXPECT_EQ(StateOf(Unit("failed")), SiloState::kFailed);
  EXPECT_EQ(StateOf(Unit("of a later systemd")), SiloState::kUnknown);
  EXPECT_EQ(StateOf({.load_state = "not-found"}), SiloState::kUnknown);
}

TEST(FailureOfTest, Table) {
  EXPECT_EQ(FailureOf(Unit("active")), "");
  UnitState unit = Unit("failed", "exit-code");
  unit.exit_status = 1;
  EXPECT_EQ(FailureOf(unit), "exited with status 1");
  unit = Unit("failed", "signal");
  unit.exit_signal = 9;
  EXPECT_EQ(FailureOf(unit), "was killed by signal 9 (SIGKILL)");
  unit.exit_signal = 500;
  EXPECT_EQ(FailureOf(unit), "was killed by signal 500");
  for (const char* result :
       {"timeout", "watchdog", "start-limit-hit", "oom-kill", "resources",
        "protocol", "exit-code", "signal", "of a later systemd"}) {
    EXPECT_NE(FailureOf(Unit("failed", result)), "") << result;
  }
}

TEST(NoSuchSiloTest, SaysWhatToDo) {
  EXPECT_THAT(
      NoSuchSilo("wrok", {{"work"}}),
      StatusIs(StatusCode::kNotFound, HasSubstr("did you mean 'work'")));
  EXPECT_THAT(NoSuchSilo("games", {{"work"}}),
              StatusIs(StatusCode::kNotFound, HasSubstr("vmsilo list")));
  EXPECT_THAT(
      NoSuchSilo("games", {}),
      StatusIs(StatusCode::kNotFound, HasSubstr("vmsilo-unitgen install")));
}

TEST(NoSuchSiloTest, DoesNotOfferTheNameThatWasAskedFor) {
  // It runs, but its units have gone from below it.
  EXPECT_THAT(
      NoSuchSilo("work", {{"work", "games"}}),
      StatusIs(StatusCode::kUnavailable,
               AllOf(HasSubstr("not installed"), HasSubstr("vmsilo check"),
                     Not(HasSubstr("did you mean")))));
}

TEST(NoSuchSiloTest, SaysThatTheConfigurationCannotBeUsed) {
  for (const InstalledSilos& installed :
       std::vector<InstalledSilos>{{{"work"}, true}, {{}, true}}) {
    EXPECT_THAT(NoSuchSilo("work", installed),
                StatusIs(StatusCode::kUnavailable,
                         AllOf(HasSubstr("the configuration has errors"),
                               HasSubstr("vmsilo check"))));
  }
}

struct JobCase {
  const char* name;
  JobOutcome outcome;
  std::optional<UnitState> unit;
  StatusCode code;
  const char* text;
};

class ExplainJobTest : public TestWithParam<JobCase> {};

TEST_P(ExplainJobTest, Table) {
  const JobCase& job = GetParam();
  const absl::Status status =
      ExplainJob("work", Verb::kStart, job.outcome, job.unit);
  EXPECT_THAT(status, StatusIs(job.code, HasSubstr(job.text)));
}

std::vector<JobCase> JobCases() {
  const auto ended = [](const char* result) {
    return JobOutcome{.unit = "vmsilo-work-vm.service", .result = result};
  };
  const auto refused = [](StatusCode code, const char* text) {
    return JobOutcome{.unit = "vmsilo-work-vm.service",
                      .accepted = absl::Status(code, text)};
  };
  UnitState failed = Unit("failed", "exit-code");
  failed.exit_status = 3;
  UnitState masked = Unit("inactive");
  masked.load_state = "masked";
  UnitState broken = Unit("inactive");
  broken.load_state = "bad-setting";
  broken.load_error = "Unit has a bad unit file setting.";
  return {
      {"Done", ended("done"), std::nullopt, StatusCode::kOk, ""},
      {"Skipped", ended("skipped"), std::nullopt, StatusCode::kOk, ""},
      {"Failed", ended("failed"), failed, StatusCode::kUnavailable,
       "exited with status 3; 'vmsilo logs work'"},
      {"FailedWithoutReason", ended("failed"), std::nullopt,
       StatusCode::kUnavailable, "vmsilo-work-vm.service failed"},
      {"Dependency", ended("dependency"), std::nullopt,
       StatusCode::kUnavailable, "vmsilo status work"},
      {"Timeout", ended("timeout"), std::nullopt, StatusCode::kDeadlineExceeded,
       "took too long"},
      {"Canceled", ended("canceled"), std::nullopt, StatusCode::kAborted,
       "opposite"},
      {"Unheard", ended("new word"), std::nullopt, StatusCode::kUnavailable,
       "'new word'"},
      {"Unknown", refused(StatusCode::kNotFound, "no unit"), std::nullopt,
       StatusCode::kNotFound, "no silo 'work'"},
      {"NotAllowed", refused(StatusCode::kPermissionDenied, "no"), std::nullopt,
       StatusCode::kPermissionDenied, "polkit"},
      {"Masked", refused(StatusCode::kFailedPrecondition, "is masked"), masked,
       StatusCode::kFailedPrecondition, "systemctl unmask"},
      {"Broken", refused(StatusCode::kFailedPrecondition, "no"), broken,
       StatusCode::kFailedPrecondition, "vmsilo check"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, ExplainJobTest, ValuesIn(JobCases()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

TEST(ExplainConnectTest, Table) {
  const absl::Status absent = absl::NotFoundError("No such file");
  UnitState socket = {.name = "vmsilo-work.socket",
                      .load_state = "loaded",
                      .active_state = "inactive"};
  EXPECT_THAT(ExplainConnect("work", absent, socket, {}),
              StatusIs(StatusCode::kUnavailable,
                       HasSubstr("systemctl start vmsilo-work.socket")));
  socket.active_state = "failed";
  socket.result = "trigger-limit-hit";
  EXPECT_THAT(ExplainConnect("work", absent, socket, {}),
              StatusIs(StatusCode::kUnavailable,
                       AllOf(HasSubstr("trigger-limit-hit"),
                             HasSubstr("systemctl restart"))));
  socket.load_state = "not-found";
  EXPECT_THAT(ExplainConnect("wrok", absent, socket, {{"work"}}),
              StatusIs(StatusCode::kNotFound, HasSubstr("'work'")));
  EXPECT_THAT(
      ExplainConnect("work", absl::PermissionDeniedError("no"), std::nullopt,
                     {}),
      StatusIs(StatusCode::kPermissionDenied, HasSubstr("another user")));
  EXPECT_THAT(ExplainConnect("work", absent, std::nullopt, {}),
              StatusIs(StatusCode::kNotFound, HasSubstr("No such file")));
}

TEST(ExplainSilenceTest, Table) {
  const absl::Status ended = absl::UnavailableError("the connection ended");
  UnitState vm = Unit("failed", "exit-code");
  vm.exit_status = 1;
  EXPECT_THAT(
      ExplainSilence("work", ended, vm).message(),
      AllOf(HasSubstr("did not start"), HasSubstr("exited with status 1"),
            HasSubstr("vmsilo logs work")));
  EXPECT_THAT(ExplainSilence("work", ended, Unit("inactive")).message(),
              HasSubstr("vmsilo start work"));
  EXPECT_THAT(ExplainSilence("work", ended, Unit("active")).message(),
              HasSubstr("vmsilo-agent"));
  EXPECT_THAT(ExplainSilence("work", ended, Unit("activating")).message(),
              HasSubstr("still starting"));
  EXPECT_THAT(ExplainSilence("work", ended, Unit("deactivating")).message(),
              HasSubstr("being stopped"));
  EXPECT_THAT(ExplainSilence("work", ended, std::nullopt).message(),
              HasSubstr("the connection ended"));
  vm.load_state = "masked";
  EXPECT_THAT(ExplainSilence("work", ended, vm).message(), HasSubstr("unmask"));
}

TEST(ExplainErrorTest, HasANextStepForEachCode) {
  const auto explain = [](ErrorCode code) {
    return std::string(
        ExplainError("work", "ls", command::MakeError(code, "because"))
            .message());
  };
  EXPECT_THAT(explain(ErrorCode::kCommandNotFound), HasSubstr("'ls'"));
  EXPECT_THAT(explain(ErrorCode::kNotExecutable), HasSubstr("because"));
  EXPECT_THAT(explain(ErrorCode::kNoCommonVersion), HasSubstr("update"));
  EXPECT_THAT(explain(ErrorCode::kBusy), HasSubstr("try again"));
  EXPECT_THAT(explain(ErrorCode::kVmUnreachable), HasSubstr("vmsilo logs"));
  EXPECT_THAT(explain(ErrorCode::kAgentUnreachable), HasSubstr("vmsilo-agent"));
  EXPECT_THAT(explain(ErrorCode::kShuttingDown), HasSubstr("try again"));
  EXPECT_THAT(explain(static_cast<ErrorCode>(999)), HasSubstr("because"));
}

TEST(ExplainErrorTest, AMachineThatCannotBeReachedMayRun) {
  const command::Error error = command::MakeError(
      ErrorCode::kVmUnreachable,
      "the VM cannot be reached: connect vsock:7:5000: No such device");
  const auto explain = [&](const std::optional<UnitState>& vm_unit) {
    return std::string(ExplainError("work", "ls", error, vm_unit).message());
  };
  EXPECT_THAT(explain(std::nullopt),
              AllOf(HasSubstr("is not running"), HasSubstr("No such device")));
  EXPECT_THAT(explain(Unit("active")),
              AllOf(HasSubstr("runs, but its agent did not answer"),
                    HasSubstr("No such device")));
  EXPECT_THAT(explain(Unit("failed", "signal")), HasSubstr("did not start"));
}

TEST(ExplainErrorTest, SaysTheCommandAndTheQuotesOnce) {
  EXPECT_EQ(ExplainError("work", "/etc/passwd",
                         command::MakeError(ErrorCode::kNotExecutable,
                                            "'/etc/passwd': Permission denied"))
                .message(),
            "'/etc/passwd': cannot be executed in silo 'work' (Permission "
            "denied)");
  EXPECT_EQ(ExplainError("work", "ls",
                         command::MakeError(ErrorCode::kCannotStart,
                                            "change to '/x y': No such file"))
                .message(),
            "silo 'work' cannot start 'ls' (change to '/x y': No such file)");
  EXPECT_EQ(ExplainError("work", "ls",
                         command::MakeError(ErrorCode::kCannotStart,
                                            "start 'ls': Out of memory"))
                .message(),
            "silo 'work' cannot start 'ls' (Out of memory)");
}

TEST(ExplainErrorTest, ShowsForeignBytesEscaped) {
  const std::string text(
      ExplainError("work", "ls",
                   command::MakeError(ErrorCode::kInternal, "\x1b]0;x\a\n"))
          .message());
  EXPECT_THAT(text, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\n"))));
}

}  // namespace
}  // namespace vmsilo::cli
