#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace vmsilo::cli {

// One entry of the journal.
struct LogEntry {
  absl::Time time;
  std::string unit;        // foreign bytes, like all of these
  std::string identifier;  // the program
  std::string pid;
  std::string message;
  int priority = 6;  // as in man 3 syslog
};

// One line for people. Everything in it may come from a guest: control
// characters are shown as \xNN, so that none reaches the terminal.
std::string FormatLogEntry(const LogEntry& entry, absl::TimeZone zone,
                           bool use_colour);

// The slice in which systemd puts the instances of `unit_template`.
std::string SliceOfTemplate(absl::string_view unit_template);

struct LogOptions {
  std::vector<std::string> units;
  std::vector<std::string> slices;
  int64_t lines = 0;  // the last ones; 0: all
  bool follow = false;
};

// Reads what the units, systemd about them, and the services in the slices
// have said. PermissionDenied, naming the group, if the system's journal
// cannot be read. With `follow` it returns on an error only, or when `print`
// fails.
absl::Status ReadJournal(
    const LogOptions& options,
    const std::function<absl::Status(const LogEntry&)>& print);

}  // namespace vmsilo::cli
