// `vmsilo list`, `status`, `start` and `stop` as shipped, against a made-up
// systemd on a bus of the test's own.

#include <signal.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/process.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(access("/usr/bin/dbus-daemon", X_OK), 0)
        << "this test needs a bus: apt-get install dbus-daemon";
    bus_ = std::make_unique<ChildProcess>(ChildProcess::Start(
        {.argv = {"/usr/bin/dbus-daemon", "--session", "--nofork",
                  "--nopidfile", "--print-address=1",
                  "--address=" + address_}}));
    bus_->ReadStdoutUntil("unix:");
    StartSystemd({});
    config_ = dir_.Write("vmsilo.toml", R"(
user = "root"
[vms.work]
hypervisor = "qemu"
gpu = false
cid = 4711
memory = "1G"
color = "blue"
[vms.planned]
hypervisor = "qemu"
gpu = false
)");
  }

  void StartSystemd(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Runfile("cli/testing/fake_systemd"));
    systemd_.reset();
    systemd_ = std::make_unique<ChildProcess>(ChildProcess::Start(
        {.argv = std::move(arguments), .environment = environment_}));
    systemd_->ReadStdoutUntil("ready");
  }

  ChildProcess Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Runfile("cli/vmsilo"));
    return ChildProcess::Start(
        {.argv = std::move(arguments), .environment = environment_});
  }

  ChildProcess::Result Run(std::vector<std::string> arguments) {
    ChildProcess child = Start(std::move(arguments));
    return child.Wait();
  }

  TempDir dir_;
  const std::string address_ = absl::StrCat("unix:path=", dir_.Path("bus"));
  const std::map<std::string, std::string> environment_ = {
      {"DBUS_SYSTEM_BUS_ADDRESS", address_}};
  std::string config_;
  std::unique_ptr<ChildProcess> bus_;
  std::unique_ptr<ChildProcess> systemd_;
};

TEST_F(ControlTest, ListsWhatIsInstalledAndConfigured) {
  const auto result = Run({"list", "--config", config_});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("work       running        qemu        4711"),
                    HasSubstr("idle       stopped        -"),
                    HasSubstr("planned    not installed  qemu")));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
}

TEST_F(ControlTest, ListsWithoutAConfiguration) {
  const std::string broken = dir_.Write("broken.toml", "user = [");
  const auto result = Run({"list", "--config", broken});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("work       running"));
  EXPECT_THAT(result.err, HasSubstr("broken.toml"));
}

TEST_F(ControlTest, ListsAsJson) {
  const auto result = Run({"list", "--json", "--config", config_});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("\"name\": \"work\""), HasSubstr("\"cid\": 4711"),
                    HasSubstr("\"color\": \"#0000ff\"")));
}

TEST_F(ControlTest, ListsNamesForShells) {
  EXPECT_EQ(Run({"list", "--names"}).out,
            "broken\nforbidden\nhanging\nidle\nneedy\nwork\n");
}

TEST_F(ControlTest, ShowsTheStatus) {
  const auto result = Run({"status", "work", "--config", config_});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("work  running"), HasSubstr("CID"),
                    HasSubstr("vmsilo-work.socket: active (listening)"),
                    HasSubstr("1 running"), Not(HasSubstr("idle")),
                    HasSubstr("console      its relay does not run")));
  const auto unknown = Run({"status", "wrok", "--config", config_});
  EXPECT_EQ(unknown.exit_code, 69);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'work'"));
}

TEST_F(ControlTest, StartsAndStops) {
  EXPECT_EQ(Run({"start", "idle", "work"}).exit_code, 0);
  EXPECT_THAT(Run({"list", "--config", config_}).out,
              HasSubstr("idle       running"));
  EXPECT_EQ(Run({"stop", "idle"}).exit_code, 0);
  EXPECT_THAT(Run({"list", "--config", config_}).out,
              HasSubstr("idle       stopped"));
  EXPECT_EQ(Run({"restart", "idle"}).exit_code, 0);
}

TEST_F(ControlTest, SaysWhyAStartFailed) {
  const auto result = Run({"start", "broken"});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, AllOf(HasSubstr("cannot start silo 'broken'"),
                                HasSubstr("exited with status 3"),
                                HasSubstr("'vmsilo logs broken'")));
  EXPECT_THAT(Run({"start", "needy"}).err, HasSubstr("vmsilo status needy"));
}

TEST_F(ControlTest, SaysWhatIsNotThere) {
  const auto result = Run({"start", "wrok"});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("did you mean 'work'"));
}

TEST_F(ControlTest, SaysWhoMay) {
  const auto result = Run({"stop", "forbidden"});
  EXPECT_EQ(result.exit_code, 77);
  EXPECT_THAT(result.err, HasSubstr("polkit"));
}

TEST_F(ControlTest, OneFailureDoesNotHideTheOthers) {
  const auto result = Run({"start", "broken", "idle", "wrok"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("'broken'"), HasSubstr("'wrok'")));
  EXPECT_THAT(Run({"list", "--config", config_}).out,
              HasSubstr("idle       running"));
}

TEST_F(ControlTest, ABusThatGoesAwayEndsTheWaiting) {
  ChildProcess child = Start({"start", "hanging"});
  systemd_->ReadStderrUntil("hanging");
  bus_->Signal(SIGKILL);
  const auto result = child.Wait();
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err, "");
}

TEST_F(ControlTest, WithoutAServiceManagerItSaysSo) {
  systemd_.reset();
  const auto gone = Run({"list", "--config", config_});
  EXPECT_EQ(gone.exit_code, 69) << gone.err;
  bus_.reset();
  const auto result = Run({"list", "--config", config_});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("systemd"));
}

TEST_F(ControlTest, RunAsksWhyNobodyListens) {
  // The name is a silo's, its socket is not in the test's reach.
  const auto unknown = Run({"run", "no-such", "--", "true"});
  EXPECT_EQ(unknown.exit_code, 125);
  EXPECT_THAT(unknown.err, HasSubstr("no silo 'no-such'"));
  const auto idle = Run({"run", "--no-wait", "idle", "--", "true"});
  EXPECT_EQ(idle.exit_code, 125);
  EXPECT_THAT(idle.err, HasSubstr("is stopped"));
}

TEST_F(ControlTest, SaysThatABrokenConfigurationTookTheUnits) {
  StartSystemd({"broken-configuration"});
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"run", "work", "--", "true"},
                                             {"run", "wrok", "--", "true"}}) {
    const auto result = Run(command);
    EXPECT_EQ(result.exit_code, 125);
    EXPECT_THAT(result.err, AllOf(HasSubstr("the configuration has errors"),
                                  Not(HasSubstr("did you mean"))));
  }
}

TEST_F(ControlTest, AConsolesLogIsThereOrItIsSaidHowToHaveOne) {
  const auto unknown = Run({"console", "--log", "wrok"});
  EXPECT_EQ(unknown.exit_code, 69);
  EXPECT_THAT(unknown.err, HasSubstr("no silo 'wrok'; did you mean 'work'?"));
  const auto without = Run({"console", "--log", "idle"});
  EXPECT_EQ(without.exit_code, 69);
  EXPECT_THAT(without.err,
              AllOf(HasSubstr("the console of silo 'idle' has no log"),
                    HasSubstr("set vms.idle.console.log = true")));
}

TEST_F(ControlTest, OptionsOfAConsoleThatContradict) {
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{"--follow"},
                                             {"--log", "--take-over"},
                                             {"--log", "--socket", "/s"}}) {
    std::vector<std::string> arguments = {"console", "work"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto result = Run(arguments);
    EXPECT_EQ(result.exit_code, 64) << options.back();
    EXPECT_THAT(result.err, HasSubstr("--log"));
  }
}

TEST_F(ControlTest, LogsAreOfSilosThatThereAre) {
  const auto result = Run({"logs", "wrok"});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("no silo 'wrok'; did you mean 'work'?"));
  EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace vmsilo::cli
