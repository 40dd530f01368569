// What systemd itself says about the units of each case, on the machine's own
// systemd-analyze(1), which needs no running systemd.

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unitgen/generate.h"
#include "unitgen/output.h"
#include "unitgen/testing/golden_cases.h"

namespace vmsilo::unitgen {
namespace {

constexpr absl::string_view kAnalyze = "/usr/bin/systemd-analyze";
constexpr absl::string_view kSystemUnits = "/lib/systemd/system";
constexpr absl::string_view kUserUnits = "/usr/lib/systemd/user";

void WriteTree(const TempDir& directory, const Output& output) {
  for (const auto& [path, file] : output.files) {
    if (file.kind != File::Kind::kRegular) continue;
    directory.Write(absl::StrCat("root/", path), file.content);
  }
  // Their directories have only one level more.
  for (const auto& [path, file] : output.files) {
    if (file.kind != File::Kind::kSymlink) continue;
    const std::string link = directory.Path(absl::StrCat("root/", path));
    mkdir(link.substr(0, link.rfind('/')).c_str(), 0755);
    ASSERT_EQ(symlink(file.content.c_str(), link.c_str()), 0) << link;
  }
}

// Every program is there, so that only the units themselves can be wrong.
void UseStubs(const TempDir& directory, config::Paths* paths) {
  const std::string stub = directory.Write("stub", "");
  ASSERT_EQ(chmod(stub.c_str(), 0755), 0);
  for (std::string* path :
       {&paths->crosvm, &paths->cloud_hypervisor, &paths->qemu,
        &paths->virtiofsd, &paths->sound, &paths->proxy, &paths->console_relay,
        &paths->balloond, &paths->usb, &paths->tray_host,
        &paths->wayland_seccontext, &paths->prepare, &paths->systemctl,
        &paths->systemd_tmpfiles, &paths->rm}) {
    *path = stub;
  }
}

// The names of all units of one manager; templates as an instance.
std::vector<std::string> UnitNames(const Output& output,
                                   absl::string_view directory) {
  std::vector<std::string> names;
  for (const auto& [path, file] : output.files) {
    if (!absl::StartsWith(path, directory) ||
        file.kind != File::Kind::kRegular) {
      continue;
    }
    names.push_back(absl::StrReplaceAll(path.substr(directory.size()),
                                        {{"@.", "@instance."}}));
  }
  return names;
}

class SystemdTest : public testing::TestWithParam<GoldenCase> {
 protected:
  void SetUp() override {
    config::Config config = LoadGoldenCase(GetParam());
    UseStubs(directory_, &config.paths);
    absl::StatusOr<Output> output = Generate(config, GetParam().mode);
    ASSERT_THAT(output, IsOk());
    output_ = *std::move(output);
    WriteTree(directory_, output_);
  }

  // What `systemd-analyze verify` prints about all units of a manager.
  std::string Verify(absl::string_view manager, absl::string_view directory,
                     absl::string_view others) {
    const std::vector<std::string> names = UnitNames(output_, directory);
    if (names.empty()) return "";
    std::vector<std::string> argv = {std::string(kAnalyze),
                                     std::string(manager), "verify", "--man=no",
                                     "--recursive-errors=yes"};
    for (const std::string& name : names) {
      argv.push_back(absl::StrCat(root_, "/", directory, name));
    }
    ChildProcess child = ChildProcess::Start(
        {.argv = std::move(argv),
         .environment = {{"SYSTEMD_UNIT_PATH",
                          absl::StrCat(root_, "/", directory, ":", others)},
                         {"XDG_RUNTIME_DIR", directory_.path()}}});
    const ChildProcess::Result result = child.Wait();
    if (result.exit_code == 0) return result.err;
    return absl::StrCat("exit ", result.exit_code, "\n", result.err);
  }

  TempDir directory_;
  const std::string root_ = directory_.Path("root");
  Output output_;
};

TEST_P(SystemdTest, HasNothingToSayAboutSystemUnits) {
  EXPECT_EQ(Verify("--system", "systemd/system/", kSystemUnits), "");
}

TEST_P(SystemdTest, HasNothingToSayAboutUserUnits) {
  EXPECT_EQ(Verify("--user", "systemd/user/", kUserUnits), "");
}

// Hypervisors and virtiofsd bring a sandbox of their own, which systemd's
// settings would stand in the way of.
bool IsForeign(absl::string_view name) {
  return absl::EndsWith(name, "-vm.service") ||
         absl::StrContains(name, "-virtiofsd-");
}

TEST_P(SystemdTest, CallsOurServicesConfined) {
  std::vector<std::string> argv = {std::string(kAnalyze), "security",
                                   "--offline=true", "--no-pager",
                                   // In tenths: 2.5 at most.
                                   "--threshold=25"};
  for (const auto& [path, file] : output_.files) {
    if (!absl::StartsWith(path, "systemd/system/") ||
        !absl::EndsWith(path, ".service") ||
        file.kind == File::Kind::kSymlink || IsForeign(path)) {
      continue;
    }
    // seccompPolicy = "log" or "off" asks for less.
    if (absl::EndsWith(path, "-gpu.service") &&
        !absl::StrContains(file.content, "SystemCallFilter=")) {
      continue;
    }
    argv.push_back(absl::StrCat(root_, "/", path));
  }
  ChildProcess child = ChildProcess::Start({.argv = std::move(argv)});
  const ChildProcess::Result result = child.Wait(absl::Seconds(60));
  std::string exposure;
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) {
    if (absl::StrContains(line, "Overall exposure")) {
      absl::StrAppend(&exposure, line, "\n");
    }
  }
  EXPECT_EQ(result.exit_code, 0) << exposure << result.err;
}

INSTANTIATE_TEST_SUITE_P(All, SystemdTest, testing::ValuesIn(GoldenCases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace vmsilo::unitgen
