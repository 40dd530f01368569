#include "cli/program.h"

#include <unistd.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/balloon_command.h"
#include "cli/commands.h"
#include "cli/escape_keys.h"
#include "cli/logs_command.h"
#include "cli/run_command.h"
#include "cli/service_manager.h"
#include "common/file.h"
#include "common/options.h"
#include "common/parse_number.h"
#include "common/version.h"

namespace vmsilo::cli {
namespace {

constexpr int64_t kMaxLines = 1'000'000'000;
constexpr size_t kAny = std::numeric_limits<size_t>::max();

Command MakeRun(RunFlags* flags) {
  Option directory = StringOption(
      "directory", "DIR",
      "Start the command in this directory of the guest instead of the "
      "user's home",
      &flags->directory);
  directory.short_name = 'C';
  Option tty = SwitchOption(
      "tty",
      "Give the command a terminal. That is the default when standard input "
      "and output are terminals",
      &flags->tty);
  tty.short_name = 't';
  Option no_tty = SwitchOption(
      "no-tty", "Give the command pipes, even from a terminal", &flags->no_tty);
  no_tty.short_name = 'T';
  Option detach = SwitchOption(
      "detach",
      "Return as soon as the command has started, and leave it running: for "
      "desktop applications",
      &flags->detach);
  detach.short_name = 'd';
  Option no_stdin = SwitchOption(
      "no-stdin", "Give the command an empty standard input", &flags->no_stdin);
  no_stdin.short_name = 'n';
  Option quiet = SwitchOption("quiet", "Show no progress while the silo starts",
                              &flags->quiet);
  quiet.short_name = 'q';
  return Command{
      .name = "run",
      .operands = "NAME -- COMMAND [ARGUMENT...]",
      .summary = "run a command in a silo",
      .description =
          "Runs COMMAND in the silo NAME, as the guest's user. A silo that is "
          "not running is started first. Standard input, output and error are "
          "the command's, in pipes as well as on a terminal; signals and the "
          "size of the window are passed on.\n"
          "\n"
          "On a terminal, Ctrl-C is the command's. Ctrl-] three times within a "
          "second leaves a session that does not answer.\n"
          "\n"
          "What the guest writes to the terminal is filtered: sequences that "
          "make the terminal answer, or that touch its title, the clipboard "
          "or the window, do not pass.\n"
          "\n"
          "The exit status is the command's; 128 and the signal's number if a "
          "signal killed it, 127 if it was not found, 126 if it cannot be "
          "executed, 125 if vmsilo failed.",
      .options =
          {std::move(detach), std::move(tty), std::move(no_tty),
           std::move(no_stdin), std::move(directory),
           SwitchOption("raw",
                        "Pass on everything that the guest writes to the "
                        "terminal",
                        &flags->raw),
           SwitchOption("no-wait",
                        "Fail if the silo is not running, instead of starting "
                        "it",
                        &flags->no_wait),
           DurationOption("timeout",
                          "Give up if the command has not started by then, the "
                          "time to boot included",
                          &flags->timeout),
           std::move(quiet),
           StringOption("socket", "PATH",
                        "Connect to this command socket instead of the "
                        "silo's own",
                        &flags->socket, Completion::kFile)},
      .examples = {{"vmsilo run work -- uname -a", "One command"},
                   {"vmsilo run --detach work -- firefox",
                    "A desktop application"},
                   {"tar c src | vmsilo run work -- tar x -C /tmp",
                    "Files into the silo"},
                   {"vmsilo run work -- bash -l", "A shell"}},
      .min_operands = 2,
      .max_operands = kAny,
      .completion = Completion::kSilo,
      .completed_operands = 1,
      .run =
          [flags](const Operands& operands) {
            return RunCommand(
                operands[0],
                std::vector<std::string>(operands.begin() + 1, operands.end()),
                *flags);
          },
  };
}

Command MakeControl(Verb verb, std::string name, std::string summary,
                    std::string description) {
  std::string example = "vmsilo " + name + " work";
  return Command{
      .name = std::move(name),
      .operands = "NAME...",
      .summary = std::move(summary),
      .description = std::move(description),
      .examples = {{std::move(example), "One silo, by its name"}},
      .min_operands = 1,
      .max_operands = kAny,
      .completion = Completion::kSilo,
      .run =
          [verb](const Operands& operands) {
            return ControlCommand(verb, operands);
          },
  };
}

Command MakeConsole(ConsoleFlags* flags) {
  Option follow = SwitchOption(
      "follow", "With --log, go on with what is logged from now on",
      &flags->follow);
  follow.short_name = 'f';
  Option escape = {.name = "escape",
                   .argument = "CHARACTER",
                   .help =
                       "Use another character than ~, such as ^], or "
                       "'none': then everything typed goes to the guest",
                   .apply = [flags](absl::string_view text) {
                     absl::StatusOr<std::optional<char>> character =
                         EscapeKeys::Parse(text);
                     if (character.ok()) flags->escape = *character;
                     return character.status();
                   }};
  escape.short_name = 'e';
  return Command{
      .name = "console",
      .operands = "NAME",
      .summary = "look at a silo's console, and type at it",
      .description =
          "Connects this terminal with the silo's serial console. What it has "
          "shown before comes first; then it is as if one sat in front of it, "
          "until ~. is typed at the beginning of a line; ~? lists what else "
          "there is. The silo may stop and start meanwhile. In a session of "
          "ssh(1), which takes ~ for itself, it is typed twice, or another "
          "--escape is chosen.\n"
          "\n"
          "Several people can look at a console, and one of them types. "
          "screen(1) and other terminal programs work on "
          "/run/vmsilo/NAME/console as well.\n"
          "\n"
          "What the guest writes to the terminal is filtered as with 'vmsilo "
          "run'; what goes to a file or a pipe is not.\n"
          "\n"
          "Without a terminal, standard input goes to the console as soon as "
          "the silo runs, and its end ends the session; with --read-only it "
          "is not read.\n"
          "\n"
          "--log shows what the console has shown as far as it is in a log "
          "(console.log in vmsilo.toml(5)), from the oldest line on, whether "
          "the silo runs or not; with its times, if they are in the log. It is "
          "filtered wherever it goes.",
      .options =
          {SwitchOption("read-only", "Look on, and do not type",
                        &flags->read_only),
           SwitchOption("take-over", "Type in the place of whoever does now",
                        &flags->take_over),
           SwitchOption("raw",
                        "Show everything that the guest writes, also what "
                        "could harm",
                        &flags->raw),
           std::move(escape),
           SwitchOption("log", "Show the console's log, and end", &flags->log),
           std::move(follow),
           StringOption("socket", "PATH",
                        "Connect to this socket instead of the silo's own",
                        &flags->socket, Completion::kFile)},
      .examples = {{"vmsilo console work", "Log in at the silo's console"},
                   {"vmsilo console --read-only work", "Watch it boot"},
                   {"vmsilo console --log work | less -R",
                    "What it has shown before"}},
      .min_operands = 1,
      .max_operands = 1,
      .completion = Completion::kSilo,
      .run =
          [flags](const Operands& operands) {
            return ConsoleCommand(operands[0], *flags);
          },
  };
}

Command MakeBalloon(BalloonFlags* flags) {
  Option watch = SwitchOption("watch", "Show it again whenever it has changed",
                              &flags->watch);
  watch.short_name = 'w';
  return Command{
      .name = "balloon",
      .operands = "[NAME] | set NAME SIZE|auto",
      .summary = "show how memory is shared, and change it",
      .description =
          "Shows what the memory daemon, vmsilo-balloond(8), sees and does: "
          "how much memory the host has, and of each silo that runs how much "
          "its programs use, what they could still use without harm, how large "
          "its balloon is and is asked to be (what the guest has given up, for "
          "the host or other silos), what the silo occupies on the host, and "
          "why its balloon was moved or left alone last.\n"
          "\n"
          "'set' asks for a balloon of that size, whatever the daemon would "
          "like, until the silo stops; 'auto' takes that back. What is "
          "guaranteed to the silo (memoryGuaranteed in vmsilo.toml(5)) is not "
          "to be had.",
      .options = {std::move(watch),
                  SwitchOption("json",
                               "Print JSON, for programs; with --watch a line "
                               "each time",
                               &flags->json),
                  SwitchOption("metrics",
                               "Print metrics, as node_exporter and Prometheus "
                               "read them",
                               &flags->metrics),
                  StringOption("socket", "PATH",
                               "Ask at this socket instead of the daemon's own",
                               &flags->socket, Completion::kFile)},
      .examples = {{"vmsilo balloon", "All silos that run"},
                   {"vmsilo balloon --watch work", "One of them, live"},
                   {"vmsilo balloon set work 512M",
                    "Take 512 MiB from a silo, whatever comes"},
                   {"vmsilo balloon set work auto", "And no more"}},
      .max_operands = 3,
      .completion = Completion::kSilo,
      .run =
          [flags](const Operands& operands) {
            return BalloonCommand(operands, *flags);
          },
  };
}

}  // namespace

Program MakeProgram(Flags* flags) {
  Program program;
  program.name = "vmsilo";
  program.man_section = 1;
  program.summary = "work with silos: list, start, stop, run commands";
  program.description =
      "vmsilo is the desktop user's command for silos, the virtual machines "
      "that keep parts of a person's work apart. It speaks to systemd, which "
      "runs them, and to the agents in them.";
  const Option config =
      StringOption("config", "FILE",
                   "Take the silos' hypervisors, CIDs and sizes from this file",
                   &flags->list.config, Completion::kFile);
  const Option json =
      SwitchOption("json", "Print JSON, for programs", &flags->list.json);
  Option follow = SwitchOption("follow", "Go on with what is said from now on",
                               &flags->logs.follow);
  follow.short_name = 'f';
  Option lines = {
      .name = "lines",
      .argument = "N",
      .help = "Show the last N lines, 100 by default, or 'all' of them",
      .apply = [flags](absl::string_view text) {
        if (text == "all") {
          flags->logs.lines = std::nullopt;
          return absl::OkStatus();
        }
        const absl::StatusOr<int64_t> value =
            ParseNumber<int64_t>(text, 0, kMaxLines);
        if (value.ok()) flags->logs.lines = *value;
        return value.status();
      }};
  lines.short_name = 'n';
  program.commands = {
      Command{
          .name = "list",
          .summary = "list the silos and their states",
          .description = "Lists all silos that are installed or configured, a "
                         "line each.",
          .options = {json,
                      SwitchOption("names",
                                   "Print the names only, of the silos that "
                                   "are installed",
                                   &flags->list.names),
                      config},
          .examples = {{"vmsilo list", "What there is, and what runs"},
                       {"vmsilo list --json", "The same for a program"}},
          .run = [flags](const Operands&) { return ListCommand(flags->list); },
      },
      Command{
          .name = "status",
          .operands = "[NAME...]",
          .summary = "show all that is known of silos",
          .description =
              "Shows what systemd, the configuration and, for root, the "
              "hypervisor say of the silos, or of all of them, and how their "
              "consoles are: who is there, and what has come and got lost "
              "since the console's relay was started. For the desktop user "
              "and root also what the memory daemon says; 'vmsilo balloon' "
              "has more of that.",
          .options = {json, config},
          .examples = {{"vmsilo status work", "One silo"}},
          .max_operands = kAny,
          .completion = Completion::kSilo,
          .run =
              [flags](const Operands& operands) {
                return StatusCommand(operands, flags->list);
              },
      },
      MakeRun(&flags->run),
      MakeControl(Verb::kStart, "start", "start silos",
                  "Starts the silos, and returns when they run or have "
                  "failed. 'vmsilo run' does not need this."),
      MakeControl(Verb::kStop, "stop", "shut silos down",
                  "Asks the guests to power off, and returns when the silos "
                  "have stopped. A guest that does not is stopped hard after "
                  "a while."),
      MakeControl(Verb::kRestart, "restart", "stop silos and start them again",
                  "As 'vmsilo stop' and 'vmsilo start', one after the other."),
      MakeConsole(&flags->console),
      MakeBalloon(&flags->balloon),
      Command{
          .name = "logs",
          .operands = "NAME",
          .summary = "show what a silo's services have logged",
          .description =
              "Shows the journal of the silo's virtual machine, helpers and "
              "connections, and what systemd says of them. Members of the "
              "group systemd-journal may read it.",
          .options = {std::move(follow), std::move(lines)},
          .examples = {{"vmsilo logs work", "The last 100 lines"},
                       {"vmsilo logs -f work", "And those to come"},
                       {"vmsilo logs -f -n 0 work", "Only those to come"}},
          .min_operands = 1,
          .max_operands = 1,
          .completion = Completion::kSilo,
          .run =
              [flags](const Operands& operands) {
                return LogsCommand(operands[0], flags->logs);
              },
      },
      Command{
          .name = "version",
          .summary = "print vmsilo's version",
          .description = "As 'vmsilo --version'.",
          .run =
              [](const Operands&) {
                return WriteAll(STDOUT_FILENO,
                                absl::StrCat("vmsilo ", kVersion, "\n"));
              },
      },
      Command{
          .name = "check",
          .summary = "check the configuration",
          .description =
              "Checks the configuration and what it needs of this machine: "
              "the same as 'vmsilo-unitgen check'.",
          .options = {config},
          .examples = {{"vmsilo check", "The installed configuration"}},
          .run =
              [flags](const Operands&) {
                return CheckCommand(flags->list.config);
              },
      },
  };
  program.examples = {
      {"vmsilo list", "The silos and their states"},
      {"vmsilo run work -- uname -a", "One command in a silo"},
      {"vmsilo stop work", "Shut a silo down"},
  };
  program.see_also = {"vmsilo-unitgen(8)", "vmsilo.toml(5)", "systemctl(1)",
                      "journalctl(1)"};
  return program;
}

}  // namespace vmsilo::cli
