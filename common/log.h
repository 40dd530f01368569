#pragma once

#include <sstream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Logging to stderr, spelled like Abseil's: LOG(ERROR|WARNING|INFO) and
// VLOG(1) for debug, VLOG(2) for trace. Under systemd each line carries its
// journal priority ("<3>"), on a terminal a colour, elsewhere a word. A
// message is one line: a line break in it becomes a space.

namespace vmsilo {

enum class LogLevel { kError, kWarning, kInfo, kDebug, kTrace };

// How a line says its level.
enum class LogFormat {
  kPlain,    // "warning: text"
  kColour,   // the same with the word in colour
  kJournal,  // "<4>text", see man 3 sd-daemon
};

// "error", "warn", "info", "debug" or "trace"; InvalidArgument otherwise.
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text);

// Lets lines up to `level` through. kInfo is the default.
void SetLogLevel(LogLevel level);
bool IsLogged(LogLevel level);

// Puts "program: " before each line that does not go to the journal, which
// knows the program. Finds out what stderr is; called once, by Main().
void InitLog(absl::string_view program);

// What InitLog() decides by. `journal_stream` is $JOURNAL_STREAM or "".
LogFormat ChooseLogFormat(int fd, absl::string_view journal_stream,
                          bool no_color);

// One formatted line with its line break; exposed for tests.
std::string FormatLogLine(LogFormat format, LogLevel level,
                          absl::string_view program, absl::string_view text);

namespace log_internal {

// Writes one line when destroyed.
class Message {
 public:
  explicit Message(LogLevel level) : level_(level) {}
  ~Message();
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  std::ostream& stream() { return stream_; }

 private:
  LogLevel level_;
  std::ostringstream stream_;
};

// Binds looser than <<, so that the macro is one expression.
struct Voidify {
  void operator&(const std::ostream&) const {}
};

inline constexpr LogLevel kERROR = LogLevel::kError;
inline constexpr LogLevel kWARNING = LogLevel::kWarning;
inline constexpr LogLevel kINFO = LogLevel::kInfo;

constexpr LogLevel VerboseLevel(int verbosity) {
  return verbosity <= 1 ? LogLevel::kDebug : LogLevel::kTrace;
}

}  // namespace log_internal
}  // namespace vmsilo

#define VMSILO_LOG_(level)                  \
  !::vmsilo::IsLogged(level)                \
      ? (void)0                             \
      : ::vmsilo::log_internal::Voidify() & \
            ::vmsilo::log_internal::Message(level).stream()

#define LOG(severity) VMSILO_LOG_(::vmsilo::log_internal::k##severity)
#define VLOG(verbosity) \
  VMSILO_LOG_(::vmsilo::log_internal::VerboseLevel(verbosity))

// Ends the program when one of our own invariants does not hold. Never for
// anything that a kernel, a peer, a file or an option decides.
#define CHECK(condition) \
  ((condition)           \
       ? (void)0         \
       : ::vmsilo::log_internal::CheckFailed(#condition, __FILE__, __LINE__))

namespace vmsilo::log_internal {
[[noreturn]] void CheckFailed(const char* condition, const char* file,
                              int line);
}  // namespace vmsilo::log_internal
