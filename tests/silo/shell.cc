#include "tests/silo/shell.h"

#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/testing/process.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/lab/unit_events.h"

namespace vmsilo::lab {
namespace {

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
  absl::StatusOr<UnitEvents> events = UnitEvents::OfSystem();
  absl::Status status = events.status();
  while (status.ok()) {
    status = events->Drain().status();
    const Outcome outcome = Shell(command, deadline);
    const absl::Duration left = end - absl::Now();
    if (outcome.status == 0 || left <= absl::ZeroDuration()) {
      return Judge(command, outcome);
    }
    status.Update(events->Wait(left));
  }
  return testing::AssertionFailure() << status;
}

testing::AssertionResult AppearsWithin(const std::string& path,
                                       absl::Duration deadline) {
  const UniqueFd events(inotify_init1(IN_CLOEXEC));
  const absl::Time end = absl::Now() + deadline;
  while (true) {
    // Also every directory on the way: it may be made, or made again.
    for (size_t slash = path.rfind('/');
         slash != std::string::npos && slash > 0;
         slash = path.rfind('/', slash - 1)) {
      // One that is not there will be an event of the one above it.
      (void)inotify_add_watch(events.get(), path.substr(0, slash).c_str(),
                              IN_CREATE | IN_MOVED_TO);
    }
    if (access(path.c_str(), F_OK) == 0) return testing::AssertionSuccess();
    pollfd poller = {.fd = events.get(), .events = POLLIN, .revents = 0};
    const int64_t left = absl::ToInt64Milliseconds(end - absl::Now());
    if (left <= 0) {
      return testing::AssertionFailure() << path << " does not appear";
    }
    if (poll(&poller, 1, static_cast<int>(std::min<int64_t>(left, INT_MAX))) <
            0 &&
        errno != EINTR) {
      return testing::AssertionFailure() << "poll: " << strerror(errno);
    }
    alignas(inotify_event) char buffer[4096];
    if (poller.revents != 0) {
      (void)!read(events.get(), buffer, sizeof(buffer));
    }
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
