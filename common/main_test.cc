#include "common/main.h"

#include <fcntl.h>

#include <string>
#include <vector>

#include "common/testing/process.h"
#include "common/unique_fd.h"
#include "common/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ChildProcess::Result RunSample(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), Runfile("common/testing/sample_program"));
  return RunProcess(arguments);
}

TEST(MainTest, RunsAndExitsWithZero) {
  const auto result = RunSample({"word"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "1\n");
  EXPECT_EQ(result.err, "");
}

TEST(MainTest, SaysAFailureInOneLine) {
  const auto result = RunSample({"--fail"});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_EQ(result.err, "sample: error: nobody is there\n");
}

TEST(MainTest, ExitsWith64ForBadUsageAndPointsToTheHelp) {
  const auto result = RunSample({"one", "two"});
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_THAT(result.err, StartsWith("sample: error: unexpected 'two'\n"));
  EXPECT_THAT(result.err, HasSubstr("'sample --help'"));
}

TEST(MainTest, ShowsHelpVersionManualAndCompletion) {
  EXPECT_THAT(RunSample({"--help"}).out, StartsWith("Usage: sample"));
  EXPECT_EQ(RunSample({"--version"}).out,
            std::string("sample ") + kVersion + "\n");
  EXPECT_THAT(RunSample({"--print-manual"}).out, StartsWith(".TH \"SAMPLE\""));
  EXPECT_THAT(RunSample({"--print-completion=fish"}).out, HasSubstr("-l fail"));
  EXPECT_EQ(RunSample({"--print-completion=csh"}).exit_code, 64);
}

TEST(MainTest, LogsAsMuchAsIsAskedFor) {
  EXPECT_EQ(RunSample({"--log-level=debug"}).err, "sample: debug: a detail\n");
  EXPECT_EQ(RunSample({"--log-level=loud"}).exit_code, 64);
}

TEST(MainTest, AnOutputThatIsFullIsAnError) {
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ChildProcess child = ChildProcess::Start(
      {.argv = {Runfile("common/testing/sample_program"), "--help"},
       .fds = {{1, full.get()}}});
  const auto result = child.Wait();
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("No space left"));
}

TEST(MainTest, AnOutputThatIsClosedIsAnErrorWhereThereIsOutput) {
  const std::string sample = Runfile("common/testing/sample_program");
  const auto result =
      RunProcess({"/bin/sh", "-c", "exec \"$0\" --help >&-", sample});
  EXPECT_EQ(result.exit_code, 71);
  EXPECT_THAT(result.err, HasSubstr("Bad file descriptor"));
  EXPECT_EQ(RunProcess({"/bin/sh", "-c", "exec \"$0\" --fail >&-", sample}).err,
            "sample: error: nobody is there\n");
}

}  // namespace
}  // namespace vmsilo
