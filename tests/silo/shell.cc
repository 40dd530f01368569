#include "tests/silo/shell.h"

#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/testing/process.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

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

// Tells when something has changed among the units of the system.
class UnitEvents {
 public:
  UnitEvents() {
    sd_bus* bus = nullptr;
    Check(sd_bus_open_system(&bus), "connect to the bus");
    bus_.reset(bus);
    Check(sd_bus_add_match(
              bus, nullptr, "type='signal',sender='org.freedesktop.systemd1'",
              [](sd_bus_message*, void*, sd_bus_error*) { return 0; }, nullptr),
          "ask for signals");
    Check(sd_bus_call_method(bus, "org.freedesktop.systemd1",
                             "/org/freedesktop/systemd1",
                             "org.freedesktop.systemd1.Manager", "Subscribe",
                             nullptr, nullptr, nullptr),
          "subscribe to systemd");
  }

  bool is_ok() const { return is_ok_; }

  // Forgets what has come up to now.
  void Drain() {
    int processed = 1;
    while (processed > 0) processed = sd_bus_process(bus_.get(), nullptr);
    Check(processed, "read from the bus");
  }

  // Until something comes, or the time is over.
  void Wait(absl::Duration duration) {
    Check(sd_bus_wait(bus_.get(), static_cast<uint64_t>(
                                      absl::ToInt64Microseconds(duration))),
          "wait for the bus");
  }

 private:
  struct Close {
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
  };

  void Check(int result, absl::string_view what) {
    if (result >= 0) return;
    is_ok_ = false;
    ADD_FAILURE() << what << ": " << strerror(-result);
  }

  std::unique_ptr<sd_bus, Close> bus_;
  bool is_ok_ = true;
};

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
  UnitEvents events;
  while (events.is_ok()) {
    events.Drain();
    const Outcome outcome = Shell(command, deadline);
    const absl::Duration left = end - absl::Now();
    if (outcome.status == 0 || left <= absl::ZeroDuration()) {
      return Judge(command, outcome);
    }
    events.Wait(left);
  }
  return testing::AssertionFailure() << "no events from systemd";
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
