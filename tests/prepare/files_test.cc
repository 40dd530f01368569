// `vmsilo-prepare overlay` and `home` as shipped: what they leave on the disk,
// and how they say what is wrong.

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/process.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

ChildProcess::Result Prepare(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), Runfile("prepare/vmsilo-prepare"));
  return RunProcess(arguments);
}

TEST(PrepareFilesTest, Overlay) {
  TempDir dir;
  const std::string path = dir.Path("work.raw");
  auto result = Prepare({"overlay", "--path", path, "--size", "64M"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 64 << 20);
  EXPECT_EQ(info.st_mode & 07777, mode_t{0600});

  result = Prepare({"overlay", "--path", dir.Path("a/b.raw"), "--size", "1M"});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("No such file"));
  result = Prepare({"overlay", "--path", path, "--size", "1M", "--owner",
                    "vmsilo-no-such-user"});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("no user"));
}

TEST(PrepareFilesTest, Home) {
  TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  dir.Write("template/.profile", "umask 077\n");
  const std::string owner = absl::StrCat(geteuid(), ":", getegid());
  const std::vector<std::string> call = {
      "home",   "--template",          dir.Path("template"),
      "--path", dir.Path("home/work"), "--owner",
      owner};
  auto result = Prepare(call);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(access(dir.Path("home/work/.profile").c_str(), R_OK), 0);
  ASSERT_EQ(unlink(dir.Path("home/work/.profile").c_str()), 0);
  EXPECT_EQ(Prepare(call).exit_code, 0);
  EXPECT_NE(access(dir.Path("home/work/.profile").c_str(), F_OK), 0);
}

TEST(PrepareFilesTest, WrongUse) {
  const std::vector<std::vector<std::string>> calls = {
      {},
      {"fly"},
      {"overlay"},
      {"overlay", "--path", "/x"},
      {"overlay", "--path", "/x", "--size", "10KB"},
      {"home", "--path", "/x"},
      {"wait"},
      {"wait", "--socket", "/x", "--type", "datagram"},
      {"wait", "--socket", "/x", "--pid", "0"},
      {"power-off"},
      {"power-off", "--hypervisor", "xen", "--control", "/x"},
      {"power-off", "--hypervisor", "qemu"},
      {"wait", "--socket", "/x", "more"},
  };
  for (const auto& arguments : calls) {
    const auto result = Prepare(arguments);
    EXPECT_EQ(result.exit_code, 64) << result.err;
    EXPECT_NE(result.err, "");
  }
}

}  // namespace
}  // namespace vmsilo
