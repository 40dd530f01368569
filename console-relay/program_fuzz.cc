#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/options.h"
#include "common/socket.h"
#include "console-relay/log_file.h"
#include "console-relay/program.h"
#include "console-relay/ring.h"

namespace vmsilo::console_relay {
namespace {

// InvalidArgument if the relay would not run with these.
absl::StatusOr<Options> Understand(const std::vector<std::string>& arguments) {
  Options options;
  const Program program =
      MakeProgram(&options, [](const Options&) { return absl::OkStatus(); });
  const absl::StatusOr<Invocation> invocation =
      ParseCommandLine(program, arguments);
  if (!invocation.ok()) return invocation.status();
  if (invocation->kind != Invocation::Kind::kRun) {
    return absl::InvalidArgumentError("only asks");
  }
  if (const absl::Status status = Check(options); !status.ok()) return status;
  return options;
}

std::vector<std::string> Print(const Options& options) {
  std::vector<std::string> arguments = {
      absl::StrCat("--backend=", options.backend),
      absl::StrCat("--pty=", options.pty),
      absl::StrFormat("--mode=%03o", options.access.mode),
      absl::StrCat("--viewers=", options.viewers),
      absl::StrCat("--scrollback=", options.scrollback.count()),
      absl::StrCat("--log=", options.log.path),
      absl::StrCat("--log-size=", options.log.max_size.count()),
      absl::StrCat("--log-files=", options.log.old_files)};
  if (options.connect) arguments.push_back("--connect");
  if (options.access.owner.has_value()) {
    arguments.push_back(absl::StrCat("--owner=", *options.access.owner));
  }
  if (options.log.has_timestamps) arguments.push_back("--log-timestamps");
  return arguments;
}

bool IsWithinLimits(const Options& options) {
  return !options.pty.empty() && !options.backend.empty() &&
         options.backend.size() <= kMaxSocketPathBytes &&
         options.viewers.size() <= kMaxSocketPathBytes &&
         options.access.mode <= ACCESSPERMS &&
         options.scrollback >= kMinScrollback &&
         options.scrollback <= kMaxScrollback && options.log.old_files >= 0 &&
         options.log.old_files <= kMaxOldLogs;
}

}  // namespace
}  // namespace vmsilo::console_relay

// A command line, one argument a line: what is taken is within the limits, and
// means the same when it is written out in full.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace relay = vmsilo::console_relay;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  // An argument ends at a zero byte.
  if (text.find('\0') != absl::string_view::npos) return 0;
  const auto options = relay::Understand(absl::StrSplit(text, '\n'));
  if (!options.ok()) return 0;
  if (!relay::IsWithinLimits(*options)) abort();
  const std::vector<std::string> printed = relay::Print(*options);
  // A path with a line break is one argument here.
  const auto again = relay::Understand(printed);
  if (!again.ok() || relay::Print(*again) != printed) abort();
  return 0;
}
