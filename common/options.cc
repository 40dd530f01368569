#include "common/options.h"

#include <getopt.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/parse_duration.h"
#include "common/parse_number.h"
#include "common/parse_size.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo {
namespace {

// What getopt_long() returns for the i-th option; above every character.
constexpr int kFirstOption = 256;

absl::Status UsageError(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

std::string Spelling(const Option& option) {
  return absl::StrCat("--", option.name);
}

absl::Status Apply(const Option& option, absl::string_view value) {
  if (!option.choices.empty() &&
      std::find(option.choices.begin(), option.choices.end(), value) ==
          option.choices.end()) {
    return UsageError(absl::StrCat(Spelling(option), ": ", Quoted(value),
                                   " is not one of ",
                                   absl::StrJoin(option.choices, ", ")));
  }
  absl::Status status = option.apply(value);
  if (status.ok()) return status;
  return UsageError(Annotate(status, Spelling(option)).message());
}

// getopt_long() over the tables in `sets`; `operands` gets what is left.
// `first_ends` makes the first operand end the options.
absl::Status ParseOptions(const std::vector<const std::vector<Option>*>& sets,
                          const std::vector<std::string>& arguments,
                          bool first_ends, Operands* operands) {
  std::vector<const Option*> options;
  for (const auto* set : sets) {
    for (const Option& option : *set) options.push_back(&option);
  }
  std::vector<::option> longs;
  // ":" tells a missing argument from an unknown option.
  std::string shorts = first_ends ? "+:" : ":";
  for (size_t i = 0; i < options.size(); ++i) {
    const int has_argument =
        options[i]->argument.empty() ? no_argument : required_argument;
    longs.push_back({options[i]->name.c_str(), has_argument, nullptr,
                     kFirstOption + static_cast<int>(i)});
    if (options[i]->short_name != 0) {
      shorts += options[i]->short_name;
      if (has_argument == required_argument) shorts += ':';
    }
  }
  longs.push_back({nullptr, 0, nullptr, 0});

  // getopt wants a program name, permutes the array, and keeps its state in
  // globals; 0 makes it begin anew.
  std::vector<char*> argv = {const_cast<char*>("")};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const int argc = static_cast<int>(argv.size()) - 1;
  optind = 0;
  opterr = 0;
  while (true) {
    const int code =
        getopt_long(argc, argv.data(), shorts.c_str(), longs.data(), nullptr);
    if (code == -1) break;
    if (code == '?' || code == ':') {
      const absl::string_view word = argv[static_cast<size_t>(optind) - 1];
      const std::string shown =
          absl::StartsWith(word, "--") || optopt == 0 || optopt >= kFirstOption
              ? Quoted(word.substr(0, word.find('=')))
              : Quoted(std::string{'-', static_cast<char>(optopt)});
      if (code == ':') {
        return UsageError(absl::StrCat(shown, " needs an argument"));
      }
      return UsageError(absl::StrCat(
          shown, optopt >= kFirstOption ? " takes no argument"
                                        : " is not an option of this program"));
    }
    const auto option = std::find_if(
        options.begin(), options.end(), [&](const Option* candidate) {
          return code >= kFirstOption
                     ? candidate ==
                           options[static_cast<size_t>(code) - kFirstOption]
                     : candidate->short_name == code;
        });
    CHECK(option != options.end());
    VMSILO_RETURN_IF_ERROR(
        Apply(**option, (*option)->argument.empty() ? "" : optarg));
  }
  for (int i = optind; i < argc; ++i) {
    operands->push_back(argv[static_cast<size_t>(i)]);
  }
  return absl::OkStatus();
}

absl::Status CheckOperands(const Command& command, const Operands& operands) {
  if (operands.size() < command.min_operands) {
    return UsageError(absl::StrCat("expected ", command.operands));
  }
  if (operands.size() > command.max_operands) {
    return UsageError(
        absl::StrCat("unexpected ", Quoted(operands[command.max_operands])));
  }
  return absl::OkStatus();
}

std::string CommandNames(const Program& program) {
  return absl::StrJoin(program.commands, ", ",
                       [](std::string* out, const Command& command) {
                         out->append(command.name);
                       });
}

}  // namespace

Option SwitchOption(std::string name, std::string help, bool* target) {
  return {.name = std::move(name),
          .help = std::move(help),
          .apply = [target](absl::string_view) {
            *target = true;
            return absl::OkStatus();
          }};
}

Option StringOption(std::string name, std::string argument, std::string help,
                    std::string* target, Completion completion) {
  return {.name = std::move(name),
          .argument = std::move(argument),
          .help = std::move(help),
          .apply =
              [target](absl::string_view text) {
                *target = std::string(text);
                return absl::OkStatus();
              },
          .completion = completion};
}

Option ListOption(std::string name, std::string argument, std::string help,
                  std::vector<std::string>* target, Completion completion) {
  return {.name = std::move(name),
          .argument = std::move(argument),
          .help = std::move(help),
          .apply =
              [target](absl::string_view text) {
                target->emplace_back(text);
                return absl::OkStatus();
              },
          .completion = completion};
}

Option ChoiceOption(std::string name, std::string argument, std::string help,
                    std::vector<std::string> choices, std::string* target) {
  Option option = StringOption(std::move(name), std::move(argument),
                               std::move(help), target);
  option.choices = std::move(choices);
  return option;
}

Option DurationOption(std::string name, std::string help,
                      absl::Duration* target) {
  return {.name = std::move(name),
          .argument = "TIME",
          .help = std::move(help),
          .apply = [target](absl::string_view text) {
            const absl::StatusOr<absl::Duration> value = ParseDuration(text);
            if (value.ok()) *target = *value;
            return value.status();
          }};
}

Option SizeOption(std::string name, std::string help, Bytes* target) {
  return {.name = std::move(name),
          .argument = "SIZE",
          .help = std::move(help),
          .apply = [target](absl::string_view text) {
            const absl::StatusOr<Bytes> value = ParseSize(text);
            if (value.ok()) *target = *value;
            return value.status();
          }};
}

Option RealOption(std::string name, std::string argument, std::string help,
                  double* target, double min, double max) {
  return {.name = std::move(name),
          .argument = std::move(argument),
          .help = std::move(help),
          .apply = [target, min, max](absl::string_view text) {
            const absl::StatusOr<double> value = ParseReal(text, min, max);
            if (value.ok()) *target = *value;
            return value.status();
          }};
}

void AddStandardOptions(Program* program) {
  program->options.push_back(
      {.name = "log-level",
       .argument = "LEVEL",
       .help = "How much to say: error, warn, info (the default), debug or "
               "trace",
       .apply =
           [](absl::string_view text) {
             const absl::StatusOr<LogLevel> level = ParseLogLevel(text);
             if (level.ok()) SetLogLevel(*level);
             return level.status();
           },
       .choices = {"error", "warn", "info", "debug", "trace"}});
}

absl::StatusOr<Invocation> ParseCommandLine(
    const Program& program, const std::vector<std::string>& arguments) {
  Invocation invocation;
  bool wants_help = false, wants_version = false, wants_manual = false;
  // Not in the table: they belong to every program and every command.
  const std::vector<Option> standard = {
      {.name = "help",
       .short_name = 'h',
       .apply =
           [&](absl::string_view) {
             wants_help = true;
             return absl::OkStatus();
           }},
      SwitchOption("version", "", &wants_version),
      SwitchOption("print-manual", "", &wants_manual),
      StringOption("print-completion", "SHELL", "", &invocation.shell),
  };

  Operands operands;
  const Command* command = &program.main;
  const bool has_commands = !program.commands.empty();
  VMSILO_RETURN_IF_ERROR(ParseOptions(
      {&standard, &program.options, &program.main.options}, arguments,
      has_commands || program.main.operands_end_options, &operands));
  if (has_commands && !operands.empty()) {
    command = nullptr;
    for (const Command& candidate : program.commands) {
      if (candidate.name == operands[0]) command = &candidate;
    }
    if (command == nullptr && operands[0] == "help") {
      wants_help = true;
    } else if (command == nullptr) {
      return UsageError(absl::StrCat("there is no command ",
                                     Quoted(operands[0]), "; there are ",
                                     CommandNames(program)));
    } else {
      const std::vector<std::string> rest(operands.begin() + 1, operands.end());
      operands.clear();
      VMSILO_RETURN_IF_ERROR(
          ParseOptions({&standard, &program.options, &command->options}, rest,
                       command->operands_end_options, &operands));
    }
  }

  invocation.command = command;
  invocation.operands = std::move(operands);
  if (wants_help) {
    invocation.kind = Invocation::Kind::kHelp;
  } else if (wants_version) {
    invocation.kind = Invocation::Kind::kVersion;
  } else if (wants_manual) {
    invocation.kind = Invocation::Kind::kManual;
  } else if (!invocation.shell.empty()) {
    invocation.kind = Invocation::Kind::kCompletion;
  } else if (has_commands && command == &program.main && !command->run) {
    return UsageError(
        absl::StrCat("expected a command: ", CommandNames(program)));
  } else {
    VMSILO_RETURN_IF_ERROR(CheckOperands(*command, invocation.operands));
  }
  return invocation;
}

}  // namespace vmsilo
