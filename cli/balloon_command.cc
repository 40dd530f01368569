#include "cli/balloon_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "cli/balloon_query.h"
#include "cli/balloon_table.h"
#include "cli/silos.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/parse_size.h"
#include "common/sd_event_loop.h"
#include "common/status_macros.h"
#include "config/layout.h"

namespace vmsilo::cli {
namespace {

// A daemon that is well answers within milliseconds.
constexpr absl::Duration kDeadline = absl::Seconds(2);

// Cursor to the top; what follows takes the place of what was there.
constexpr absl::string_view kHome = "\x1b[H";
constexpr absl::string_view kClearLineAndEnd = "\x1b[K\n";
constexpr absl::string_view kClearRest = "\x1b[J";
constexpr absl::string_view kClear = "\x1b[2J";

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

absl::Status Explain(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return WithExitCode(
          absl::UnavailableError(
              "the memory daemon does not run; 'systemctl status "
              "vmsilo-balloond' says why"),
          kExitUnavailable);
    case absl::StatusCode::kPermissionDenied:
      return WithExitCode(
          absl::PermissionDeniedError(
              "only the desktop user and root may ask the memory daemon"),
          kExitNoPermission);
    default:
      return absl::Status(
          status.code(), absl::StrCat("the memory daemon: ", status.message()));
  }
}

// Rows and columns of standard output; zeros if it is no terminal, or one that
// cannot move its cursor.
winsize TerminalSize() {
  winsize size = {};
  const char* term = getenv("TERM");
  if (term == nullptr || absl::string_view(term) == "dumb" ||
      ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
    return {};
  }
  return size;
}

// So many lines of `text`, for a terminal that would roll otherwise.
absl::string_view FirstLines(absl::string_view text, size_t count) {
  size_t end = 0;
  for (size_t i = 0; i < count && end < text.size(); ++i) {
    end = std::min(text.find('\n', end), text.size() - 1) + 1;
  }
  return text.substr(0, end);
}

class Printer {
 public:
  Printer(std::string name, const BalloonFlags& flags)
      : name_(std::move(name)), flags_(flags) {}

  absl::Status Print(balloon::Answer answer) {
    if (const auto* metrics = std::get_if<balloon::Metrics>(&answer)) {
      return WriteAll(STDOUT_FILENO, metrics->text);
    }
    auto* status = std::get_if<balloon::Status>(&answer);
    // What was wished is done.
    if (status == nullptr) return absl::OkStatus();
    if (!name_.empty()) {
      std::vector<balloon::Status::Vm>& vms = status->vms;
      vms.erase(std::remove_if(vms.begin(), vms.end(),
                               [this](const balloon::Status::Vm& vm) {
                                 return vm.name != name_;
                               }),
                vms.end());
      // One that is watched may come again.
      if (vms.empty() && !flags_.watch) {
        return absl::NotFoundError(absl::StrCat(
            "silo ", Quoted(name_),
            " is not among those that share memory; does it run?"));
      }
    }
    if (flags_.json) return WriteAll(STDOUT_FILENO, balloon::Encode(answer));
    const winsize size = TerminalSize();
    const std::string table = BalloonTable(*status, size.ws_col);
    if (!flags_.watch) return WriteAll(STDOUT_FILENO, table);
    if (size.ws_row < 2) {
      return WriteAll(STDOUT_FILENO, absl::StrCat(table, "\n"));
    }
    // All at once: a table that is drawn in pieces flickers.
    const absl::string_view start =
        std::exchange(has_begun_, true) ? "" : kClear;
    return WriteAll(
        STDOUT_FILENO,
        absl::StrCat(start, kHome,
                     absl::StrReplaceAll(FirstLines(table, size.ws_row - 1u),
                                         {{"\n", kClearLineAndEnd}}),
                     kClearRest));
  }

 private:
  const std::string name_;
  const BalloonFlags flags_;
  bool has_begun_ = false;
};

absl::StatusOr<balloon::Request> RequestFor(
    const std::vector<std::string>& operands, const BalloonFlags& flags) {
  if (operands.size() > 1) {
    if (operands.size() != 3 || operands[0] != "set") {
      return Usage("expected a silo's name, or 'set NAME SIZE', or nothing");
    }
    if (flags.watch || flags.json || flags.metrics) {
      return Usage("'set' takes no options");
    }
    VMSILO_RETURN_IF_ERROR(
        WithExitCode(CheckSiloName(operands[1]), kExitUsage));
    balloon::SetRequest set = {.vm = operands[1]};
    if (operands[2] == "auto") return set;
    const absl::StatusOr<Bytes> size = ParseSize(operands[2]);
    if (!size.ok()) {
      return Usage(absl::StrCat("a balloon's size, or 'auto': ",
                                size.status().message()));
    }
    set.balloon = static_cast<int64_t>(size->count());
    return set;
  }
  if (!operands.empty()) {
    VMSILO_RETURN_IF_ERROR(
        WithExitCode(CheckSiloName(operands[0]), kExitUsage));
  }
  if (flags.metrics) {
    if (flags.watch || flags.json || !operands.empty()) {
      return Usage("--metrics are those of all silos, once, in their own form");
    }
    return balloon::MetricsRequest();
  }
  if (flags.watch) return balloon::WatchRequest();
  return balloon::StatusRequest();
}

}  // namespace

absl::Status BalloonCommand(const std::vector<std::string>& operands,
                            const BalloonFlags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const balloon::Request request,
                          RequestFor(operands, flags));
  const bool is_set = std::holds_alternative<balloon::SetRequest>(request);
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<SdEventLoop> loop,
                          SdEventLoop::Create());
  Printer printer(operands.empty() || is_set ? "" : operands[0], flags);
  absl::Status result;
  bool is_done = false;
  BalloonQuery query(loop.get(), [&](absl::StatusOr<balloon::Answer> answer) {
    if (!answer.ok()) {
      // What the daemon says of a wish needs no more words.
      result = is_set && (absl::IsNotFound(answer.status()) ||
                          absl::IsFailedPrecondition(answer.status()))
                   ? answer.status()
                   : Explain(answer.status());
    } else {
      result = printer.Print(*std::move(answer));
      if (result.ok() && flags.watch) return;
    }
    is_done = true;
    loop->Quit();
  });
  VMSILO_RETURN_IF_ERROR(query.Start(
      flags.socket.empty() ? std::string(layout::kBalloondControlSocket)
                           : flags.socket,
      request, kDeadline));
  if (!is_done) VMSILO_RETURN_IF_ERROR(loop->Run());
  return result;
}

}  // namespace vmsilo::cli
