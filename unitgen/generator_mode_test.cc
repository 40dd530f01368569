#include "unitgen/generator_mode.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

Output Example() {
  Output output;
  output.files["systemd/system/vmsilo-a.socket"] = File{.content = "socket"};
  output.files["systemd/system/vmsilo-a@.service"] = File{.content = "proxy"};
  output.files["systemd/system/sockets.target.wants/vmsilo-a.socket"] =
      File{.kind = File::Kind::kSymlink, .content = "../vmsilo-a.socket"};
  output.files["systemd/system/vmsilo-a-vm.service.d/50-vmsilo.conf"] =
      File{.content = "drop-in"};
  output.files["systemd/user/vmsilo-a-session-bind.service"] =
      File{.content = "user"};
  output.files["tmpfiles.d/vmsilo.conf"] = File{.content = "rules"};
  return output;
}

std::vector<std::string> AllBelow(const std::string& root) {
  std::vector<std::string> paths;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    paths.push_back(entry.path().lexically_relative(root).string());
  }
  return paths;
}

TEST(GeneratorCallTest, IsThreeAbsolutePaths) {
  EXPECT_TRUE(IsGeneratorCall({"/run/a", "/run/b", "/run/c"}));
  EXPECT_FALSE(IsGeneratorCall({"/run/a", "/run/b"}));
  EXPECT_FALSE(IsGeneratorCall({"/run/a", "/run/b", "/run/c", "/run/d"}));
  EXPECT_FALSE(IsGeneratorCall({"generate", "--output", "/tmp"}));
  EXPECT_FALSE(IsGeneratorCall({"/run/a", "", "/run/c"}));
  EXPECT_FALSE(IsGeneratorCall({}));
}

TEST(ReadUnitsTest, ReadsWhatWasWrittenAndNothingElse) {
  TempDir dir;
  ASSERT_THAT(WriteUnits(dir.path(), Example()), IsOk());
  dir.Write("home.mount", "somebody else's");
  dir.Write("home.mount.d/x.conf", "somebody else's");
  Output system_units = Example();
  system_units.files.erase("systemd/user/vmsilo-a-session-bind.service");
  system_units.files.erase("tmpfiles.d/vmsilo.conf");
  EXPECT_THAT(ReadUnits(dir.path()), IsOkAndHolds(system_units));
}

TEST(ReadUnitsTest, NoDirectoryIsNoUnit) {
  EXPECT_THAT(ReadUnits("/nowhere/at/all"), IsOkAndHolds(Output()));
}

TEST(WriteUnitsTest, WritesSystemUnitsOnly) {
  TempDir dir;
  ASSERT_THAT(WriteUnits(dir.path(), Example()), IsOk());
  EXPECT_THAT(AllBelow(dir.path()),
              UnorderedElementsAre("vmsilo-a.socket", "vmsilo-a@.service",
                                   "sockets.target.wants/vmsilo-a.socket",
                                   "vmsilo-a-vm.service.d/50-vmsilo.conf"));
  EXPECT_THAT(ReadFile(dir.Path("vmsilo-a.socket"), 100),
              IsOkAndHolds("socket"));
  EXPECT_THAT(ReadFile(dir.Path("sockets.target.wants/vmsilo-a.socket"), 100),
              IsOkAndHolds("socket"));
}

TEST(WriteUnitsTest, ReplacesWhatIsThereWithoutFollowingIt) {
  TempDir dir;
  TempDir outside;
  const std::string victim = outside.Write("victim", "precious");
  std::filesystem::create_symlink(victim, dir.Path("vmsilo-a.socket"));
  dir.Write("sockets.target.wants/vmsilo-a.socket", "a file");
  ASSERT_THAT(WriteUnits(dir.path(), Example()), IsOk());
  EXPECT_THAT(ReadFile(victim, 100), IsOkAndHolds("precious"));
  EXPECT_THAT(ReadFile(dir.Path("vmsilo-a.socket"), 100),
              IsOkAndHolds("socket"));
  ASSERT_THAT(WriteUnits(dir.path(), Example()), IsOk());
}

TEST(WriteUnitsTest, DoesNotWriteIntoALinkedDirectory) {
  TempDir dir;
  TempDir outside;
  std::filesystem::create_symlink(outside.path(),
                                  dir.Path("sockets.target.wants"));
  EXPECT_FALSE(WriteUnits(dir.path(), Example()).ok());
  EXPECT_THAT(AllBelow(outside.path()), IsEmpty());
}

TEST(WriteUnitsTest, AMissingDirectoryIsAnError) {
  EXPECT_THAT(WriteUnits("/nonexistent/normal", Example()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nonexistent")));
}

TEST(WriteUnitsTest, AFullDiskLeavesNoUnit) {
  TempDir dir;
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = WriteUnits(dir.path(), Example());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(AllBelow(dir.path()), IsEmpty());
}

TEST(KernelRecordTest, IsOneLineThatTheKernelTakes) {
  EXPECT_EQ(KernelRecord(3, 42, "a\nb\x1b[0m"),
            "<3>vmsilo-unitgen[42]: a b [0m\n");
  EXPECT_THAT(KernelRecord(4, 1, std::string(5000, 'x')), SizeIs(976));
}

TEST(GeneratorLogTest, WritesToStderrWhenCalledByHand) {
  testing::internal::CaptureStderr();
  GeneratorLog("").Error("no configuration");
  GeneratorLog("1").Warning("left out");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "vmsilo-unitgen: no configuration\nvmsilo-unitgen: left out\n");
}

}  // namespace
}  // namespace vmsilo::unitgen
