#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace vmsilo::lab {

// What a command line of a test did.
struct Outcome {
  int status = -1;  // as a shell tells it: 128 + signal
  std::string out;
  std::string err;
};

// gtest prints it in messages.
void PrintTo(const Outcome& outcome, std::ostream* stream);

// Runs `command` in bash, as root; a test failure if it takes longer than
// `deadline`, which is then the end of the command.
Outcome Shell(const std::string& command,
              absl::Duration deadline = absl::Seconds(60));

// As the desktop user of the labs.
Outcome AsDesk(const std::string& command,
               absl::Duration deadline = absl::Seconds(60));

// For EXPECT_TRUE: whether `command` succeeds now. What it printed is in the
// message.
testing::AssertionResult Succeeds(const std::string& command,
                                  absl::Duration deadline = absl::Seconds(60));

// The same within `deadline`, for what depends on units: it is tried again
// whenever systemd says that something has changed.
testing::AssertionResult SucceedsWithin(
    const std::string& command, absl::Duration deadline = absl::Seconds(30));

// Whether there is a file `path` within `deadline`, in whatever directories
// that are made until then.
testing::AssertionResult AppearsWithin(
    const std::string& path, absl::Duration deadline = absl::Seconds(30));

// `text` as one word of a shell.
std::string ShellQuoted(absl::string_view text);

// The standard output of a command that has to succeed, without the end of
// its last line.
std::string Answer(const std::string& command);

}  // namespace vmsilo::lab
