// The built program, called as people and systemd call it.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kConfig[] = R"(user = "desk"
host = { uid = 4200, gid = 4200, group = "desk", home = "/home/desk" }
balloond.enable = false
[vms.work]
hypervisor = "qemu"
color = "blue"
gpu = false
sharedHome = false
console = "file"
)";

class CliTest : public testing::Test {
 protected:
  CliTest() {
    config_ = dir_.Write("vmsilo.toml", kConfig);
    dir_.Write("root/etc/passwd", "desk:x:4200:4200::/home/desk:/bin/sh\n");
    dir_.Write("root/etc/group", "desk:x:4200:\n");
  }

  ChildProcess::Result Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Runfile("unitgen/vmsilo-unitgen"));
    return RunProcess(std::move(arguments));
  }
  // With the configuration of this test.
  ChildProcess::Result RunWithConfig(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--config", config_});
    return Run(std::move(arguments));
  }

  std::string Unit(absl::string_view name) const {
    return dir_.Path(absl::StrCat("root/etc/systemd/system/", name));
  }

  TempDir dir_;
  std::string config_;
};

TEST_F(CliTest, HelpNamesEveryCommandAndExamples) {
  const auto result = Run({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* command : {"check", "generate", "diff", "install",
                              "uninstall", "list", "graph", "explain"}) {
    EXPECT_THAT(result.out, HasSubstr(command));
  }
  EXPECT_THAT(Run({"install", "--help"}).out, HasSubstr("--root"));
  EXPECT_THAT(Run({"--version"}).out, StartsWith("vmsilo-unitgen "));
}

TEST_F(CliTest, UsageErrorsExitWith64) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--nonsense"},
                                             {"nonsense"},
                                             {"check", "operand"},
                                             {"explain"},
                                             {"generator", "/a", "/b"}}) {
    EXPECT_EQ(Run(arguments).exit_code, 64);
  }
  const auto result = RunWithConfig({"generate"});
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_THAT(result.err, HasSubstr("--output"));
}

TEST_F(CliTest, CheckAcceptsAGoodConfiguration) {
  const auto result = RunWithConfig({"check", "--configuration-only"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("valid: 1 silo, "));
  EXPECT_THAT(result.err, IsEmpty());
}

TEST_F(CliTest, CheckSaysWhatSilosBoot) {
  mkdir(dir_.Path("images").c_str(), 0755);
  mkdir(dir_.Path("images/default").c_str(), 0755);
  dir_.Write("images/default/image.toml", "kernel = \"bzImage\"\n");
  dir_.Write("vmsilo.toml", absl::StrCat("imageDir = \"", dir_.Path("images"),
                                         "\"\n", kConfig));
  auto result = RunWithConfig({"check", "--configuration-only"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              HasSubstr("silo work boots the image default (by its image.toml):"
                        " kernel '"));
  EXPECT_THAT(result.out, HasSubstr("/images/default/bzImage'"));
  dir_.Write("images/default/image.toml", "kernal = \"bzImage\"\n");
  result = RunWithConfig({"check", "--configuration-only"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("/images/default/image.toml:1:1: error: "
                                    "kernal: unknown key"));
}

TEST_F(CliTest, CheckLooksAtTheMachine) {
  dir_.Write("vmsilo.toml",
             absl::StrCat("paths.qemu = \"/nonexistent/qemu\"\n", kConfig));
  const auto result = RunWithConfig({"check"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("vmsilo.toml:1:7: warning: paths.qemu: "
                                    "/nonexistent/qemu is not there"));
  EXPECT_THAT(result.out, HasSubstr("QEMU: not found; supported is 7.2"));
}

TEST_F(CliTest, ConfigurationErrorsExitWith78AndNameThePlace) {
  dir_.Write("vmsilo.toml",
             absl::StrCat(kConfig, "memroy = \"2G\"\n", "cpus = \"many\"\n"));
  for (const char* command : {"check", "list", "diff", "install", "graph"}) {
    const auto result = RunWithConfig({command});
    EXPECT_EQ(result.exit_code, 78) << command;
    EXPECT_THAT(result.err,
                AllOf(HasSubstr("vmsilo.toml:10:1: error: vms.work.memroy"),
                      HasSubstr("'memory'"), HasSubstr("vmsilo.toml:11:"),
                      HasSubstr("2 errors")))
        << command;
    EXPECT_THAT(result.out, IsEmpty());
  }
}

TEST_F(CliTest, ErrorsOfRawSettingsNameTheirPlace) {
  dir_.Write("vmsilo.toml",
             absl::StrCat(kConfig,
                          "[units.\"vmsilo-work-vm.service\".Service]\n"
                          "User = \"root\"\n"));
  const auto result = RunWithConfig({"check", "--configuration-only"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("vmsilo.toml:11:1: error: units."));
}

TEST_F(CliTest, ErrorsOfRawSettingsComeWithAllOthers) {
  dir_.Write(
      "vmsilo.toml",
      absl::StrCat(kConfig, "cpus = \"many\"\n", "units.vm.Servce.Nice = 1\n",
                   "units.socket.Socket.SocketMode = \"0666\"\n",
                   // Might be there without the other errors.
                   "units.sound.Service.Nice = 1\n",
                   "units.vmm.Service.Nice = 1\n",
                   "[units.\"vmsilo-wrok-vm.service\".Service]\n"
                   "Nice = 1\n"));
  const auto result = RunWithConfig({"check", "--configuration-only"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(
      result.err,
      AllOf(HasSubstr("vmsilo.toml:10:"),
            HasSubstr("vmsilo.toml:11:10: error: vms.work.units.vm.Servce: not "
                      "a section of 'vmsilo-work-vm.service'; did you mean "
                      "Service?"),
            HasSubstr("vmsilo.toml:12:"), HasSubstr("did you mean 'vm'?"),
            HasSubstr("did you mean 'vmsilo-work-vm.service'?"),
            HasSubstr("5 errors")));
}

TEST_F(CliTest, AMissingConfigurationIsAnError) {
  const auto result = Run({"--config", dir_.Path("none.toml"), "check"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("none.toml"));
}

TEST_F(CliTest, GenerateWritesTheLayout) {
  const std::string out = dir_.Path("out");
  const auto result = RunWithConfig({"generate", "--output", out});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* path :
       {"systemd/system/vmsilo-work-vm.service",
        "systemd/system/sockets.target.wants/vmsilo-work.socket",
        "tmpfiles.d/vmsilo.conf", "polkit-1/rules.d/50-vmsilo.rules"}) {
    EXPECT_TRUE(std::filesystem::exists(absl::StrCat(out, "/", path))) << path;
  }
  // Each link leads to a generated unit.
  const auto list = RunWithConfig({"list", "--paths"});
  EXPECT_THAT(list.out, HasSubstr("sockets.target.wants/vmsilo-work.socket\n"));

  const auto again = RunWithConfig({"generate", "--output", out});
  EXPECT_EQ(again.exit_code, 71);
  EXPECT_THAT(again.err, HasSubstr("is not empty"));
}

TEST_F(CliTest, InstallDiffUninstall) {
  const std::string root = dir_.Path("root");
  auto run = [&](const char* command) {
    return RunWithConfig({command, "--root", root});
  };
  auto result = run("diff");
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.out,
              HasSubstr("+++ /etc/systemd/system/vmsilo-work-vm.service\n"));

  result = run("install");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("files made"));
  // Nothing to reload in a tree.
  EXPECT_THAT(result.out, Not(HasSubstr("systemctl")));
  EXPECT_THAT(ReadFile(Unit("sockets.target.wants/vmsilo-work.socket"), 9999),
              IsOkAndHolds(HasSubstr("[Socket]")));
  result = run("diff");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(run("install").out, StartsWith("nothing to do"));

  dir_.Write("root/etc/systemd/system/vmsilo-work-vm.service", "edited\n");
  dir_.Write("vmsilo.toml", absl::StrCat(kConfig, "memory = \"3G\"\n"));
  result = run("install");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err,
              HasSubstr("vmsilo-work-vm.service was changed since it was"));
  result = run("diff");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("\n-edited\n"));

  result = Run({"uninstall", "--root", root});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(ReadFile(Unit("vmsilo-work-vm.service"), 99),
              IsOkAndHolds("edited\n"));
  EXPECT_FALSE(std::filesystem::exists(Unit("vmsilo-work.socket")));
  EXPECT_FALSE(std::filesystem::exists(dir_.Path("root/etc/tmpfiles.d")));
}

TEST_F(CliTest, InstallRefusesBesideAnActiveGenerator) {
  const std::string generator = dir_.Write(
      "root/usr/lib/systemd/system-generators/vmsilo-unitgen", "program");
  ASSERT_EQ(chmod(generator.c_str(), 0755), 0);
  const auto result = RunWithConfig({"install", "--root", dir_.Path("root")});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, AllOf(HasSubstr("system-generators/vmsilo-unitgen"),
                                HasSubstr("is active")));
  EXPECT_FALSE(std::filesystem::exists(Unit("")));
}

TEST_F(CliTest, ADamagedManifestExitsWith65) {
  dir_.Write("root/var/lib/vmsilo/manifest.json", "{}");
  const auto result = RunWithConfig({"install", "--root", dir_.Path("root")});
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_THAT(result.err, HasSubstr("move it away"));
}

TEST_F(CliTest, ExplainNamesTheOptionsPlace) {
  const auto result = RunWithConfig({"explain", "vmsilo-work-vm"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(StartsWith("vmsilo-work-vm.service\n"),
                                HasSubstr(absl::StrCat(config_, ":5:1"))));
  const auto unknown = RunWithConfig({"explain", "vmsilo-wrk-vm.service"});
  EXPECT_EQ(unknown.exit_code, 69);
  EXPECT_THAT(unknown.err, HasSubstr("'vmsilo-work-vm.service'"));
}

TEST_F(CliTest, GraphIsDotAndSvg) {
  EXPECT_THAT(RunWithConfig({"graph"}).out, StartsWith("digraph vmsilo {"));
  const auto svg = RunWithConfig({"graph", "work", "--svg"});
  EXPECT_EQ(svg.exit_code, 0) << svg.err;
  EXPECT_THAT(svg.out, HasSubstr("<svg"));
  EXPECT_EQ(RunWithConfig({"graph", "play"}).exit_code, 69);
}

TEST_F(CliTest, AsAGeneratorItWritesSystemUnitsOnly) {
  const std::string normal = dir_.Path("normal");
  ASSERT_EQ(mkdir(normal.c_str(), 0755), 0);
  const auto result = RunWithConfig({"generator", normal});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(
      std::filesystem::exists(absl::StrCat(normal, "/vmsilo-work.socket")));
  for (const auto& entry : std::filesystem::directory_iterator(normal)) {
    EXPECT_THAT(entry.path().filename().string(),
                testing::ContainsRegex("\\.(service|socket|wants|d)$"));
  }
}

TEST_F(CliTest, AsAGeneratorABrokenConfigurationLeavesAUnitThatFails) {
  const std::string normal = dir_.Path("normal");
  ASSERT_EQ(mkdir(normal.c_str(), 0755), 0);
  dir_.Write("vmsilo.toml", absl::StrCat(kConfig, "memroy = \"2G\"\n"));
  const auto result = RunWithConfig({"generator", normal});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("vms.work.memroy"));
  const auto unit = ReadFile(
      absl::StrCat(normal, "/vmsilo-configuration-error.service"), 99999);
  EXPECT_THAT(unit, IsOkAndHolds(AllOf(HasSubstr("report-failure"),
                                       HasSubstr("vms.work.memroy"))));
  EXPECT_FALSE(
      std::filesystem::exists(absl::StrCat(normal, "/vmsilo-work.socket")));
}

TEST_F(CliTest, AsAGeneratorOfAUsersManagerItDoesNothing) {
  const std::string normal = dir_.Path("normal");
  ASSERT_EQ(mkdir(normal.c_str(), 0755), 0);
  for (const auto& [name, value] : {std::pair("SYSTEMD_SCOPE", "user"),
                                    std::pair("SYSTEMD_IN_INITRD", "1")}) {
    auto child =
        ChildProcess::Start({.argv = {Runfile("unitgen/vmsilo-unitgen"),
                                      "--config", config_, "generator", normal},
                             .environment = {{name, value}}});
    EXPECT_EQ(child.Wait().exit_code, 0);
    EXPECT_TRUE(std::filesystem::is_empty(normal));
  }
}

TEST_F(CliTest, WhatTheErrorUnitRunsPrintsAndFails) {
  const auto result = Run({"report-failure", "first", "second 50%"});
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_EQ(result.err, "<3>first\n<3>second 50%\n");
}

}  // namespace
}  // namespace vmsilo::unitgen
