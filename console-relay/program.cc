#include "console-relay/program.h"

#include <sys/types.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/options.h"
#include "common/parse_number.h"
#include "common/socket.h"
#include "common/status_macros.h"
#include "console-relay/log_file.h"
#include "console-relay/pty.h"
#include "console-relay/ring.h"

namespace vmsilo::console_relay {
namespace {

// Three octal digits, and perhaps a zero before them.
absl::StatusOr<mode_t> ParseMode(absl::string_view text) {
  const absl::string_view digits =
      text.size() == 4 && text[0] == '0' ? text.substr(1) : text;
  mode_t mode = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '7' || digits.size() != 3) {
      return absl::InvalidArgumentError(absl::StrCat(
          Quoted(text), " is not a mode; expected three octal digits, 0600"));
    }
    mode = mode * 8 + static_cast<mode_t>(digit - '0');
  }
  if (digits.empty()) {
    return absl::InvalidArgumentError("a mode has three octal digits");
  }
  return mode;
}

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

absl::Status CheckSocket(absl::string_view option, const std::string& path) {
  const absl::Status status = CheckSocketPath(path);
  return status.ok()
             ? status
             : Usage(absl::StrCat("--", option, ": ", status.message()));
}

}  // namespace

absl::Status Check(const Options& options) {
  if (options.backend.empty()) {
    return Usage("option --backend is missing: the hypervisor's serial socket");
  }
  if (options.pty.empty()) {
    return Usage("option --pty is missing: where to put the terminal's link");
  }
  VMSILO_RETURN_IF_ERROR(CheckSocket("backend", options.backend));
  if (!options.viewers.empty()) {
    VMSILO_RETURN_IF_ERROR(CheckSocket("viewers", options.viewers));
  }
  if (options.scrollback < kMinScrollback ||
      options.scrollback > kMaxScrollback) {
    return Usage("--scrollback: expected a size from 4K to 256M");
  }
  if (options.log.max_size < KiB(4)) {
    return Usage("--log-size: expected 4K or more");
  }
  return absl::OkStatus();
}

Program MakeProgram(Options* options,
                    std::function<absl::Status(const Options&)> run) {
  Option owner = {
      .name = "owner",
      .argument = "UID",
      .help = "Give the terminal to this user; the own one if not given",
      .apply = [options](absl::string_view text) {
        absl::StatusOr<uid_t> uid =
            ParseNumber<uid_t>(text, 0, std::numeric_limits<uid_t>::max() - 1);
        if (uid.ok()) options->access.owner = *uid;
        return uid.status();
      }};
  Option mode = {.name = "mode",
                 .argument = "MODE",
                 .help = "The terminal's mode, in octal; 0600 if not given",
                 .apply = [options](absl::string_view text) {
                   absl::StatusOr<mode_t> value = ParseMode(text);
                   if (value.ok()) options->access.mode = *value;
                   return value.status();
                 }};
  return {
      .name = "vmsilo-console-relay",
      .man_section = 8,
      .summary = "Offer a virtual machine's serial line as a terminal",
      .description =
          "Connects the socket of a hypervisor's serial line with a "
          "pseudo-terminal that outlives both: the virtual machine may restart "
          "and users may come and go, and nobody gets an error. What the "
          "guest writes goes into a scrollback, which whoever opens the "
          "terminal sees first; vmsilo(1) has a command to look at it, and "
          "screen(1), minicom(1) and picocom(1) work as well.\n\n"
          "A guest is never blocked by a terminal that nobody reads, nor by "
          "one that is read slowly, and memory does not grow: what falls out "
          "of the scrollback unread is lost and counted.\n\n"
          "Under systemd, the scrollback, the terminal and the guest's "
          "connection survive a crash and a restart of this program without "
          "a byte lost or doubled (FileDescriptorStoreMax=16 and Type=notify "
          "in the unit). Sockets may be inherited from socket units: a stream "
          "socket named \"backend\", a sequential packet socket named "
          "\"viewers\".",
      .options =
          {
              StringOption("backend", "SOCKET",
                           "The serial line's Unix socket, where the "
                           "hypervisor connects (crosvm, QEMU)",
                           &options->backend, Completion::kFile),
              SwitchOption("connect",
                           "Connect to SOCKET instead, where the hypervisor "
                           "listens (Cloud Hypervisor), whenever it is there",
                           &options->connect),
              StringOption("pty", "LINK",
                           "Where to put a symbolic link to the terminal",
                           &options->pty, Completion::kFile),
              std::move(owner),
              std::move(mode),
              StringOption("viewers", "SOCKET",
                           "Take viewers on this socket, of which one may "
                           "type; none if not given",
                           &options->viewers, Completion::kFile),
              SizeOption("scrollback",
                         "How much of the guest's output to keep; 1M if not "
                         "given",
                         &options->scrollback),
              StringOption("log", "FILE",
                           "Write the guest's output to a file as well, byte "
                           "for byte",
                           &options->log.path, Completion::kFile),
              SizeOption("log-size",
                         "Begin a new log when it has this size; 10M if not "
                         "given",
                         &options->log.max_size),
              NumberOption<int>("log-files", "NUMBER",
                                "How many older logs to keep, as FILE.1, "
                                "FILE.2 …; 4 if not given",
                                &options->log.old_files, 0, kMaxOldLogs),
              SwitchOption("log-timestamps",
                           "Put the time before each line of the log",
                           &options->log.has_timestamps),
          },
      .main = {.run = [options, run = std::move(run)](
                          const Operands&) { return run(*options); }},
      .examples =
          {
              {"vmsilo-console-relay --backend /tmp/serial.socket --pty "
               "/tmp/console",
               "Wait for a hypervisor, and offer its serial line at "
               "/tmp/console"},
              {"vmsilo-console-relay --connect --backend /run/ch/serial.socket "
               "--pty /run/user/1000/console --scrollback 4M --log "
               "/var/log/console.log",
               "Connect to Cloud Hypervisor, and keep a log"},
          },
      .man_sections =
          {
              {"EXIT STATUS",
               "0: ended by a signal.\n\n"
               "64: wrong usage.\n\n"
               "71: the system failed us, such as no more terminals."},
              {"SECURITY",
               "The guest's bytes go to the terminal as they are: it is a "
               "serial line, and a terminal emulator on it obeys what the "
               "guest sends. The log has them as they are, too. `vmsilo "
               "console` leaves out what could harm.\n\n"
               "Before the first byte of a guest, a system call filter is "
               "armed, and files but the terminal and the log are out of "
               "reach."},
          },
      .see_also = {"vmsilo(1)", "vmsilo-unitgen(1)", "systemd.service(5)"},
  };
}

}  // namespace vmsilo::console_relay
