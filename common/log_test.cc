#include "common/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

TEST(FormatLogLineTest, SaysTheLevelAsTheReaderNeedsIt) {
  EXPECT_EQ(FormatLogLine(LogFormat::kPlain, LogLevel::kWarning, "p", "text"),
            "p: warning: text\n");
  EXPECT_EQ(FormatLogLine(LogFormat::kPlain, LogLevel::kInfo, "p", "text"),
            "p: text\n");
  EXPECT_EQ(FormatLogLine(LogFormat::kColour, LogLevel::kError, "", "text"),
            "\x1b[31;1merror: \x1b[0mtext\n");
  EXPECT_EQ(FormatLogLine(LogFormat::kJournal, LogLevel::kError, "p", "text"),
            "<3>text\n");
}

TEST(FormatLogLineTest, IsAlwaysOneLine) {
  EXPECT_EQ(FormatLogLine(LogFormat::kPlain, LogLevel::kInfo, "", "a\n<0>b"),
            "a <0>b\n");
}

TEST(ChooseLogFormatTest, KnowsTheJournalByItsSocket) {
  const UniqueFd fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
  struct stat info = {};
  ASSERT_EQ(fstat(fd.get(), &info), 0);
  const std::string same = absl::StrCat(info.st_dev, ":", info.st_ino);
  EXPECT_EQ(ChooseLogFormat(fd.get(), same, false), LogFormat::kJournal);
  EXPECT_EQ(ChooseLogFormat(fd.get(), "1:2", false), LogFormat::kPlain);
  EXPECT_EQ(ChooseLogFormat(fd.get(), "", false), LogFormat::kPlain);
}

TEST(ChooseLogFormatTest, ColoursOnlyATerminalAndNeverAgainstTheUser) {
  const UniqueFd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal.is_valid());
  EXPECT_EQ(ChooseLogFormat(terminal.get(), "", false), LogFormat::kColour);
  EXPECT_EQ(ChooseLogFormat(terminal.get(), "", true), LogFormat::kPlain);
}

TEST(LogLevelTest, FiltersWhatIsBelow) {
  SetLogLevel(LogLevel::kWarning);
  EXPECT_TRUE(IsLogged(LogLevel::kError));
  EXPECT_TRUE(IsLogged(LogLevel::kWarning));
  EXPECT_FALSE(IsLogged(LogLevel::kInfo));
  int evaluated = 0;
  LOG(INFO) << ++evaluated;
  EXPECT_EQ(evaluated, 0);
  SetLogLevel(LogLevel::kInfo);
}

TEST(LogLevelTest, HasTheNamesOfTheOption) {
  EXPECT_THAT(ParseLogLevel("warn"), IsOkAndHolds(LogLevel::kWarning));
  EXPECT_THAT(ParseLogLevel("trace"), IsOkAndHolds(LogLevel::kTrace));
  EXPECT_THAT(ParseLogLevel("loud"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(CheckDeathTest, NamesTheCondition) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "1 \\+ 1 == 3 does not hold");
}

}  // namespace
}  // namespace vmsilo
