#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

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

// The directories in which the journal lies, the lasting one and the other.
inline constexpr absl::string_view kJournalDirectories[] = {"/var/log/journal",
                                                            "/run/log/journal"};

// PermissionDenied, naming the group, if a system's journal is in one of the
// directories (in a subdirectory per machine), but none that may be read: the
// library says nothing of files that it cannot open, and one would see an
// empty journal. OK if there is none at all.
absl::Status CheckJournalAccess(
    absl::Span<const absl::string_view> directories);

struct LogOptions {
  std::vector<std::string> units;
  std::vector<std::string> templates;  // all of their instances
  std::optional<int64_t> lines;        // the last ones; all without
  bool follow = false;
};

// Reads what the units, systemd about them, and the instances of the templates
// have said. PermissionDenied, naming the group, if the system's journal
// cannot be read. With `follow` it returns on an error only, or when `print`
// fails.
absl::Status ReadJournal(
    const LogOptions& options,
    const std::function<absl::Status(const LogEntry&)>& print);

}  // namespace vmsilo::cli
