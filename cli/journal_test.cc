#include "cli/journal.h"

#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

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

}  // namespace
}  // namespace vmsilo::cli
