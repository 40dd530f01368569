#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/parse_number.h"

// One table per program: it drives parsing, --help, the manual page and the
// completions of bash, zsh and fish, so that they cannot disagree.

namespace vmsilo {

// What a shell completes an option's argument or an operand with.
enum class Completion { kNone, kFile, kDirectory, kSilo };

struct Option {
  std::string name;      // without the dashes
  char short_name = 0;   // or 0
  std::string argument;  // placeholder in the help, "" for a switch
  std::string help;      // one sentence or more, without a full stop
  std::function<absl::Status(absl::string_view)> apply;  // "" for a switch
  std::vector<std::string> choices = {};  // the only values, where few
  Completion completion = Completion::kNone;
};

// The usual kinds. `target` keeps its value, the default, when the option is
// not given; it must outlive the parsing.
Option SwitchOption(std::string name, std::string help, bool* target);
Option StringOption(std::string name, std::string argument, std::string help,
                    std::string* target,
                    Completion completion = Completion::kNone);
// May be given again; each adds a value.
Option ListOption(std::string name, std::string argument, std::string help,
                  std::vector<std::string>* target,
                  Completion completion = Completion::kNone);
Option ChoiceOption(std::string name, std::string argument, std::string help,
                    std::vector<std::string> choices, std::string* target);
Option DurationOption(std::string name, std::string help,
                      absl::Duration* target);
Option SizeOption(std::string name, std::string help, Bytes* target);
Option RealOption(std::string name, std::string argument, std::string help,
                  double* target, double min, double max);
template <typename T>
Option NumberOption(std::string name, std::string argument, std::string help,
                    T* target, T min = std::numeric_limits<T>::min(),
                    T max = std::numeric_limits<T>::max()) {
  return {.name = std::move(name),
          .argument = std::move(argument),
          .help = std::move(help),
          .apply = [target, min, max](absl::string_view text) {
            absl::StatusOr<T> value = ParseNumber<T>(text, min, max);
            if (value.ok()) *target = *value;
            return value.status();
          }};
}

struct Example {
  std::string command;
  std::string explanation;
};

struct ManSection {
  std::string title;  // upper case, such as "FILES"
  std::string text;   // paragraphs, separated by empty lines
};

// What is left of the command line after the options.
using Operands = std::vector<std::string>;

// A program, or one subcommand of it.
struct Command {
  std::string name;      // of the subcommand
  std::string operands;  // as the usage line shows them, such as "NAME…"
  std::string summary;   // one line, imperative, without a full stop
  std::string description = {};  // paragraphs, separated by empty lines
  std::vector<Option> options = {};
  std::vector<Example> examples = {};
  size_t min_operands = 0;
  size_t max_operands = 0;
  // The first operand ends the options: what follows belongs to somebody else.
  bool operands_end_options = false;
  Completion completion = Completion::kNone;  // of the operands
  // So many of them are of that kind; behind them comes "--" and what is no
  // business of ours.
  size_t completed_operands = std::numeric_limits<size_t>::max();
  std::function<absl::Status(const Operands&)> run = nullptr;
};

struct Program {
  std::string name;
  int man_section = 1;
  std::string summary;
  std::string description;
  std::vector<Option> options = {};    // of every command
  std::vector<Command> commands = {};  // empty: `main` is all there is
  Command main = {};  // operands and run(), of a program without subcommands;
                      // with run set, also what a call without one does
  std::vector<Example> examples = {};
  std::vector<ManSection> man_sections = {};
  std::vector<std::string> see_also = {};  // such as "vmsilo-agent(8)"
};

// A command line that was understood.
struct Invocation {
  enum class Kind { kRun, kHelp, kVersion, kManual, kCompletion };
  Kind kind = Kind::kRun;
  const Command* command = nullptr;  // what to run, or to show the help of
  Operands operands;
  std::string shell;  // of kCompletion
};

// Reads `arguments` (without the program's name) by the program's table and
// applies the options. InvalidArgument, naming the option, for everything
// that is not in it.
absl::StatusOr<Invocation> ParseCommandLine(
    const Program& program, const std::vector<std::string>& arguments);

// Adds --help, --version, --log-level and the hidden options by which the
// build gets manual page and completions.
void AddStandardOptions(Program* program);

namespace options_internal {

// Those of `command` and of the program, with --help and --version as every
// program shows them.
std::vector<Option> ShownOptions(const Program& program,
                                 const Command* command);

}  // namespace options_internal

std::string HelpText(const Program& program, const Command* command);
// Troff, man(7).
std::string ManualPage(const Program& program);
// InvalidArgument for a shell other than bash, zsh and fish.
absl::StatusOr<std::string> CompletionScript(const Program& program,
                                             absl::string_view shell);

}  // namespace vmsilo
