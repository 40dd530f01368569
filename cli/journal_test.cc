#include "cli/journal.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/exit_codes.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::HasSubstr;

LogEntry Entry(std::string message, int priority = 6) {
  return {.time = absl::FromUnixSeconds(1'800'000'000),
          .unit = "vmsilo-work-vm.service",
          .identifier = "qemu",
          .pid = "7",
          .message = std::move(message),
          .priority = priority};
}

std::string Line(const LogEntry& entry, bool use_colour = false) {
  return FormatLogEntry(entry, absl::UTCTimeZone(), use_colour);
}

TEST(FormatLogEntryTest, IsOneLine) {
  EXPECT_EQ(Line(Entry("Grüße\tvom Gast")),
            "Jan 15 08:00:00 qemu[7]: Grüße vom Gast\n");
  EXPECT_EQ(Line(Entry("a\nb\r")), "Jan 15 08:00:00 qemu[7]: a\\x0ab\\x0d\n");
}

TEST(FormatLogEntryTest, LetsNothingReachTheTerminal) {
  EXPECT_EQ(Line(Entry("\x1b]0;x\a\xc2\x9b"
                       "6n\xff")),
            "Jan 15 08:00:00 qemu[7]: \\x1b]0;x\\x07\xef\xbf\xbd\n");
  LogEntry entry = Entry("text");
  entry.identifier = "a\x1b[2J";
  entry.pid = "";
  EXPECT_EQ(Line(entry), "Jan 15 08:00:00 a\\x1b[2J: text\n");
}

TEST(FormatLogEntryTest, ColoursWhatIsBad) {
  EXPECT_EQ(Line(Entry("text", 3), true),
            "Jan 15 08:00:00 qemu[7]: \x1b[31mtext\x1b[0m\n");
  EXPECT_EQ(Line(Entry("text", 4), true),
            "Jan 15 08:00:00 qemu[7]: \x1b[33mtext\x1b[0m\n");
  EXPECT_EQ(Line(Entry("text", 3), false), "Jan 15 08:00:00 qemu[7]: text\n");
  EXPECT_EQ(Line(Entry("text", 6), true), "Jan 15 08:00:00 qemu[7]: text\n");
}

TEST(SliceOfTemplateTest, EscapesDashes) {
  EXPECT_EQ(SliceOfTemplate("vmsilo-work@.service"),
            "system-vmsilo\\x2dwork.slice");
}

// What a user sees who is in no group: of directories that are his own here,
// and closed to him. Root would see through modes.
class CheckJournalAccessTest : public ::testing::Test {
 protected:
  CheckJournalAccessTest() {
    for (const char* directory : {"/var", "/run", "/var/m1", "/run/m1"}) {
      EXPECT_EQ(mkdir(Path(directory).c_str(), 0755), 0);
    }
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    EXPECT_EQ(syscall(SYS_capset, &header, none), 0);
  }
  ~CheckJournalAccessTest() override {
    for (const char* directory : {"/var", "/run", "/var/m1", "/run/m1"}) {
      (void)chmod(Path(directory).c_str(), 0755);
    }
  }

  std::string Path(absl::string_view path) {
    return absl::StrCat(root_.path(), path);
  }
  void AddJournal(absl::string_view directory, mode_t mode) {
    const std::string path = Path(absl::StrCat(directory, "/system.journal"));
    const UniqueFd fd(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, mode));
    EXPECT_TRUE(fd.is_valid());
  }
  absl::Status Check() {
    const std::string var = Path("/var");
    const std::string run = Path("/run");
    const std::string absent = Path("/absent");
    return CheckJournalAccess({absent, var, run});
  }

  TempDir root_;
};

TEST_F(CheckJournalAccessTest, TakesAJournalThatMayBeRead) {
  AddJournal("/var/m1", 0000);
  AddJournal("/run/m1", 0400);
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(CheckJournalAccessTest, NoJournalIsNoError) {
  EXPECT_THAT(Check(), IsOk());
}

TEST_F(CheckJournalAccessTest, RefusesAJournalThatMayNotBeRead) {
  AddJournal("/run/m1", 0000);
  const absl::Status status = Check();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("systemd-journal")));
  EXPECT_EQ(ExitCodeFor(status), 77);
}

TEST_F(CheckJournalAccessTest, RefusesWhatMayNotBeLookedInto) {
  AddJournal("/run/m1", 0400);
  ASSERT_EQ(chmod(Path("/run/m1").c_str(), 0000), 0);
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kPermissionDenied));
  ASSERT_EQ(chmod(Path("/run").c_str(), 0000), 0);
  EXPECT_THAT(Check(), StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace vmsilo::cli
