#include "tests/silo/shell.h"

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/testing/process.h"
#include "gtest/gtest.h"

namespace vmsilo::lab {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(200);
// More than the interesting part of any output.
constexpr size_t kShownBytes = 4000;

testing::AssertionResult Judge(const std::string& command,
                               const Outcome& outcome) {
  if (outcome.status == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << command << ": " << testing::PrintToString(outcome);
}

}  // namespace

void PrintTo(const Outcome& outcome, std::ostream* stream) {
  *stream << "exit status " << outcome.status << "\n--- stdout\n"
          << outcome.out.substr(0, kShownBytes) << "\n--- stderr\n"
          << outcome.err.substr(0, kShownBytes) << "\n---";
}

Outcome Shell(const std::string& command, absl::Duration deadline) {
  ChildProcess process =
      ChildProcess::Start({.argv = {"/bin/bash", "-c", command}});
  ChildProcess::Result result = process.Wait(deadline);
  return Outcome{.status = result.signal.has_value() ? 128 + *result.signal
                                                     : result.exit_code,
                 .out = std::move(result.out),
                 .err = std::move(result.err)};
}

Outcome AsDesk(const std::string& command, absl::Duration deadline) {
  return Shell(
      absl::StrCat("exec setpriv --reuid=4200 --regid=4200 --clear-groups "
                   "bash -c ",
                   ShellQuoted(command)),
      deadline);
}

testing::AssertionResult Succeeds(const std::string& command,
                                  absl::Duration deadline) {
  return Judge(command, Shell(command, deadline));
}

testing::AssertionResult SucceedsWithin(const std::string& command,
                                        absl::Duration deadline) {
  const absl::Time end = absl::Now() + deadline;
  while (true) {
    const Outcome outcome = Shell(command, deadline);
    if (outcome.status == 0 || absl::Now() > end)
      return Judge(command, outcome);
    absl::SleepFor(kPollInterval);
  }
}

std::string ShellQuoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string Answer(const std::string& command) {
  Outcome outcome = Shell(command);
  EXPECT_EQ(outcome.status, 0)
      << command << ": " << testing::PrintToString(outcome);
  if (!outcome.out.empty() && outcome.out.back() == '\n') {
    outcome.out.pop_back();
  }
  return outcome.out;
}

}  // namespace vmsilo::lab
