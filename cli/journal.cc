#include "cli/journal.h"

#include <dirent.h>
#include <errno.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cli/terminal_filter.h"
#include "common/exit_codes.h"
#include "common/parse_number.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::cli {
namespace {

// As journalctl shows at most, without being asked for all of a field.
constexpr size_t kMaxMessageBytes = 64 * 1024;

// The journal looks for each of them at every step. It is what a silo is asked
// for in a day or so.
constexpr size_t kMaxInstances = 1000;

constexpr char kUnitField[] = "_SYSTEMD_UNIT";

constexpr int kErrorPriority = 3;    // LOG_ERR
constexpr int kWarningPriority = 4;  // LOG_WARNING

struct JournalClose {
  void operator()(sd_journal* journal) const { sd_journal_close(journal); }
};
using Journal = std::unique_ptr<sd_journal, JournalClose>;

std::string Printable(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\t') {
      out += ' ';
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  // Controls above ASCII, and bytes that are no characters.
  return TerminalFilter().Filter(out);
}

std::string Field(sd_journal* journal, const char* name) {
  const void* data = nullptr;
  size_t size = 0;
  if (sd_journal_get_data(journal, name, &data, &size) < 0) return "";
  absl::string_view text(static_cast<const char*>(data), size);
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) return "";
  return std::string(text.substr(equals + 1));
}

LogEntry ReadEntry(sd_journal* journal) {
  LogEntry entry;
  uint64_t usec = 0;
  if (sd_journal_get_realtime_usec(journal, &usec) >= 0) {
    entry.time = absl::FromUnixMicros(static_cast<int64_t>(usec));
  }
  entry.unit = Field(journal, kUnitField);
  entry.identifier = Field(journal, "SYSLOG_IDENTIFIER");
  if (entry.identifier.empty()) entry.identifier = Field(journal, "_COMM");
  entry.pid = Field(journal, "_PID");
  entry.message = Field(journal, "MESSAGE");
  const absl::StatusOr<int> priority =
      ParseNumber<int>(Field(journal, "PRIORITY"), 0, 7);
  if (priority.ok()) entry.priority = *priority;
  return entry;
}

// The instances of `unit_template` that have said something, the latest first.
std::vector<std::string> InstancesOf(absl::string_view unit_template,
                                     sd_journal* journal) {
  const absl::string_view prefix =
      unit_template.substr(0, unit_template.find('@') + 1);
  // Their names begin with the number of the connection.
  std::multimap<uint64_t, std::string, std::greater<>> found;
  if (sd_journal_query_unique(journal, kUnitField) < 0) return {};
  const void* data = nullptr;
  size_t size = 0;
  SD_JOURNAL_FOREACH_UNIQUE(journal, data, size) {
    absl::string_view unit(static_cast<const char*>(data), size);
    absl::ConsumePrefix(&unit, absl::StrCat(kUnitField, "="));
    absl::string_view instance = unit;
    if (!absl::ConsumePrefix(&instance, prefix)) continue;
    const absl::StatusOr<uint64_t> number =
        ParseNumber<uint64_t>(instance.substr(0, instance.find('-')));
    found.emplace(number.ok() ? *number : 0, unit);
  }
  std::vector<std::string> units;
  for (auto& [number, unit] : found) {
    if (units.size() == kMaxInstances) break;
    units.push_back(std::move(unit));
  }
  return units;
}

absl::Status AddMatches(sd_journal* journal, const LogOptions& options) {
  int r = 0;
  const auto add = [&](const std::string& match) {
    if (r >= 0) r = sd_journal_add_match(journal, match.data(), match.size());
    if (r >= 0) r = sd_journal_add_disjunction(journal);
  };
  for (const std::string& unit : options.units) {
    add(absl::StrCat(kUnitField, "=", unit));
    add(absl::StrCat("UNIT=", unit));  // systemd's own words about it
  }
  for (const std::string& unit_template : options.templates) {
    // Instances to come are found by their slice. Of one that ends as soon as
    // it has spoken the journal knows the unit only.
    add(absl::StrCat("_SYSTEMD_SLICE=", SliceOfTemplate(unit_template)));
    for (const std::string& unit : InstancesOf(unit_template, journal)) {
      add(absl::StrCat(kUnitField, "=", unit));
    }
  }
  return r < 0 ? ErrnoStatus(-r, "search the journal") : absl::OkStatus();
}

}  // namespace

absl::Status CheckJournalAccess(
    absl::Span<const absl::string_view> directories) {
  bool is_refused = false;
  for (const absl::string_view directory : directories) {
    const std::string path(directory);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                  closedir);
    if (dir == nullptr) {
      is_refused = is_refused || errno == EACCES;
      continue;
    }
    // An error in the middle looks like the end; a directory has none.
    while (const dirent* entry = readdir(dir.get())) {
      if (entry->d_name[0] == '.') continue;
      const std::string journal =
          absl::StrCat(path, "/", entry->d_name, "/system.journal");
      if (access(journal.c_str(), R_OK) == 0) return absl::OkStatus();
      // Also where the directory above it may not be searched.
      is_refused = is_refused || errno == EACCES;
    }
  }
  if (!is_refused) return absl::OkStatus();
  return WithExitCode(
      absl::PermissionDeniedError(
          "the system's journal may be read by root and the members of the "
          "group systemd-journal only; 'usermod -aG systemd-journal USER' as "
          "root adds you, from the next login on"),
      kExitNoPermission);
}

std::string FormatLogEntry(const LogEntry& entry, absl::TimeZone zone,
                           bool use_colour) {
  absl::string_view begin;
  absl::string_view end;
  if (use_colour && entry.priority <= kWarningPriority) {
    begin = entry.priority <= kErrorPriority ? "\x1b[31m" : "\x1b[33m";
    end = "\x1b[0m";
  }
  const absl::string_view message =
      absl::string_view(entry.message).substr(0, kMaxMessageBytes);
  return absl::StrCat(
      absl::FormatTime("%b %d %H:%M:%S ", entry.time, zone),
      Printable(entry.identifier),
      entry.pid.empty() ? "" : absl::StrCat("[", Printable(entry.pid), "]"),
      ": ", begin, Printable(message), end, "\n");
}

std::string SliceOfTemplate(absl::string_view unit_template) {
  const absl::string_view prefix =
      unit_template.substr(0, unit_template.find('@'));
  std::string out = "system-";
  for (const char c : prefix) {
    // A dash in a slice's name stands for a level of the tree.
    if (c == '-') {
      out += "\\x2d";
    } else {
      out += c;
    }
  }
  return absl::StrCat(out, ".slice");
}

absl::Status ReadJournal(
    const LogOptions& options,
    const std::function<absl::Status(const LogEntry&)>& print) {
  VMSILO_RETURN_IF_ERROR(CheckJournalAccess(kJournalDirectories));
  sd_journal* raw = nullptr;
  int r = sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
  if (r < 0) return ErrnoStatus(-r, "open the journal");
  const Journal journal(raw);
  VMSILO_RETURN_IF_ERROR(AddMatches(raw, options));

  if (options.lines.has_value()) {
    r = sd_journal_seek_tail(raw);
    if (r >= 0) {
      // One less: the loop below steps before it reads.
      r = sd_journal_previous_skip(raw,
                                   static_cast<uint64_t>(*options.lines) + 1);
    }
    if (r >= 0 && r <= *options.lines) r = sd_journal_seek_head(raw);
  } else {
    r = sd_journal_seek_head(raw);
  }
  if (r < 0) return ErrnoStatus(-r, "search the journal");
  for (;;) {
    r = sd_journal_next(raw);
    if (r < 0) return ErrnoStatus(-r, "read the journal");
    if (r > 0) {
      VMSILO_RETURN_IF_ERROR(print(ReadEntry(raw)));
      continue;
    }
    if (!options.follow) return absl::OkStatus();
    r = sd_journal_wait(raw, UINT64_MAX);
    if (r < 0 && r != -EINTR) return ErrnoStatus(-r, "follow the journal");
  }
}

}  // namespace vmsilo::cli
