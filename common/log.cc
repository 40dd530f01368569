#include "common/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/file.h"

namespace vmsilo {
namespace {

// A process has one stderr and one level; this is the one mutable global of
// the project, set before anything else runs.
struct State {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kPlain;
  std::string program;
};

State& GetState() {
  static State* const state = new State;
  return *state;
}

struct LevelInfo {
  absl::string_view name;    // as --log-level takes it
  absl::string_view label;   // as a line shows it
  absl::string_view colour;  // SGR parameters
  int priority;              // man 3 sd-daemon
};

constexpr LevelInfo kLevels[] = {
    {"error", "error: ", "31;1", 3},
    {"warn", "warning: ", "33;1", 4},
    {"info", "", "", 6},
    {"debug", "debug: ", "2", 7},
    {"trace", "trace: ", "2", 7},
};

const LevelInfo& Info(LogLevel level) {
  return kLevels[static_cast<int>(level)];
}

}  // namespace

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  for (int i = 0; i <= static_cast<int>(LogLevel::kTrace); ++i) {
    if (text == kLevels[i].name) return static_cast<LogLevel>(i);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      Quoted(text), " is not one of error, warn, info, debug, trace"));
}

void SetLogLevel(LogLevel level) { GetState().level = level; }

bool IsLogged(LogLevel level) { return level <= GetState().level; }

LogFormat ChooseLogFormat(int fd, absl::string_view journal_stream,
                          bool no_color) {
  struct stat info = {};
  if (!journal_stream.empty() && fstat(fd, &info) == 0 &&
      journal_stream == absl::StrCat(info.st_dev, ":", info.st_ino)) {
    return LogFormat::kJournal;
  }
  return isatty(fd) != 0 && !no_color ? LogFormat::kColour : LogFormat::kPlain;
}

void InitLog(absl::string_view program) {
  const char* journal = getenv("JOURNAL_STREAM");
  const char* no_color = getenv("NO_COLOR");
  State& state = GetState();
  state.program = std::string(program);
  state.format =
      ChooseLogFormat(STDERR_FILENO, journal == nullptr ? "" : journal,
                      no_color != nullptr && *no_color != '\0');
}

std::string FormatLogLine(LogFormat format, LogLevel level,
                          absl::string_view program, absl::string_view text) {
  const LevelInfo& info = Info(level);
  std::string line;
  if (format == LogFormat::kJournal) {
    line = absl::StrCat("<", info.priority, ">");
  } else {
    if (!program.empty()) line = absl::StrCat(program, ": ");
    if (format == LogFormat::kColour && !info.colour.empty()) {
      absl::StrAppend(&line, "\x1b[", info.colour, "m", info.label, "\x1b[0m");
    } else {
      absl::StrAppend(&line, info.label);
    }
  }
  for (const char c : text) line += c == '\n' ? ' ' : c;
  line += '\n';
  return line;
}

namespace log_internal {

Message::~Message() {
  const State& state = GetState();
  // There is nobody left to tell when stderr itself is gone.
  (void)WriteAll(STDERR_FILENO, FormatLogLine(state.format, level_,
                                              state.program, stream_.str()));
}

void CheckFailed(const char* condition, const char* file, int line) {
  Message(LogLevel::kError).stream()
      << "internal error: " << condition << " does not hold (" << file << ":"
      << line << ")";
  abort();
}

}  // namespace log_internal
}  // namespace vmsilo
