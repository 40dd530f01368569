// What shells complete, by an option table.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/options.h"

namespace vmsilo {
namespace {

using options_internal::ShownOptions;

// A word in single quotes, for all three shells.
std::string ShellQuote(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string FishQuote(absl::string_view text) {
  return absl::StrCat(
      "'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

// The names of the silos, by asking the program that knows them.
constexpr absl::string_view kListSilos = "vmsilo list --names 2>/dev/null";

std::string FunctionName(const Program& program) {
  return absl::StrCat("_", absl::StrReplaceAll(program.name, {{"-", "_"}}));
}

// The statement that offers what `compgen` makes of `arguments`, a line each:
// names of files may have spaces.
std::string BashReply(absl::string_view arguments) {
  return absl::StrCat("mapfile -t COMPREPLY < <(compgen ", arguments,
                      " -- \"$cur\")");
}

// "" if there is nothing to offer.
std::string BashWords(const Option& option) {
  switch (option.completion) {
    case Completion::kFile:
      return absl::StrCat("compopt -o filenames; ", BashReply("-f"));
    case Completion::kDirectory:
      return absl::StrCat("compopt -o filenames; ", BashReply("-d"));
    case Completion::kSilo:
      return BashReply(absl::StrCat("-W \"$(", kListSilos, ")\""));
    case Completion::kNone:
      break;
  }
  if (option.choices.empty()) return "";
  return BashReply(
      absl::StrCat("-W ", ShellQuote(absl::StrJoin(option.choices, " "))));
}

std::string Switches(const std::vector<Option>& options) {
  return absl::StrJoin(options, " ",
                       [](std::string* out, const Option& option) {
                         absl::StrAppend(out, "--", option.name);
                       });
}

std::string CommandWords(const Program& program) {
  return absl::StrJoin(program.commands, " ",
                       [](std::string* out, const Command& command) {
                         out->append(command.name);
                       });
}

// What is offered in place of an operand, or "".
std::string BashOperand(const Command& command) {
  std::string words = BashWords({.completion = command.completion});
  if (command.completed_operands >= command.max_operands || words.empty()) {
    return words;
  }
  return absl::StrCat("if ((operands < ", command.completed_operands,
                      ")); then ", words,
                      "; elif [[ -z $rest ]]; then COMPREPLY=(--); fi");
}

// `case` tables over the command that was found, which is empty before it.
struct BashTables {
  std::string with_argument;  // options whose value is another word
  std::string values;
  std::string switches;
  std::string operands;
};

void AddBashCommand(const Program& program, const Command& command,
                    BashTables* tables) {
  const std::string key = ShellQuote(command.name);
  const std::vector<Option> options = ShownOptions(program, &command);
  for (const Option& option : options) {
    if (option.argument.empty()) continue;
    std::string pattern =
        ShellQuote(absl::StrCat(command.name, " --", option.name));
    if (option.short_name != 0) {
      absl::StrAppend(
          &pattern, "|",
          ShellQuote(absl::StrCat(command.name, " -",
                                  std::string(1, option.short_name))));
    }
    absl::StrAppend(&tables->with_argument,
                    tables->with_argument.empty() ? "" : "|", pattern);
    const std::string words = BashWords(option);
    if (words.empty()) continue;
    absl::StrAppend(&tables->values, "      ", pattern, ") ", words, " ;;\n");
  }
  absl::StrAppend(&tables->switches, "      ", key, ") ",
                  BashReply(absl::StrCat("-W ", ShellQuote(Switches(options)))),
                  " ;;\n");
  const std::string operand =
      command.name.empty() && !program.commands.empty()
          ? BashReply(absl::StrCat("-W ", ShellQuote(CommandWords(program))))
          : BashOperand(command);
  if (operand.empty()) return;
  absl::StrAppend(&tables->operands, "      ", key, ") ", operand, " ;;\n");
}

// $option is the option whose value is to be completed, $rest is set behind a
// "--". Readline cuts words at "=", too, unless somebody has changed
// COMP_WORDBREAKS; what is offered replaces only what comes behind it.
std::string BashCompletion(const Program& program) {
  BashTables tables;
  Command main = program.main;
  main.name.clear();
  AddBashCommand(program, main, &tables);
  for (const Command& command : program.commands) {
    AddBashCommand(program, command, &tables);
  }
  const auto table = [](absl::string_view subject, absl::string_view rows) {
    return rows.empty() ? std::string("    :\n")
                        : absl::StrCat("    case ", subject, " in\n", rows,
                                       "    esac\n");
  };
  const std::string function = FunctionName(program);
  std::string out =
      absl::StrCat("# bash completion of ", program.name, "\n", function,
                   "() {\n"
                   "  local cur=${COMP_WORDS[COMP_CWORD]} word= command= i\n"
                   "  local option= prefix= rest= operands=0\n"
                   "  COMPREPLY=()\n"
                   "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
                   "    word=${COMP_WORDS[i]}\n"
                   "    if [[ -n $rest || $word != -* ]]; then\n");
  absl::StrAppend(&out, program.commands.empty()
                            ? "      ((++operands))\n"
                            : "      if [[ -z $command ]]; then command=$word; "
                              "else ((++operands)); fi\n");
  absl::StrAppend(&out,
                  "    elif [[ $word == -- ]]; then\n"
                  "      rest=1\n"
                  "    else\n"
                  "      case \"$command $word\" in\n        ",
                  tables.with_argument.empty() ? "''" : tables.with_argument,
                  ")\n"
                  "          [[ ${COMP_WORDS[i + 1]} == = ]] && ((++i))\n"
                  "          ((++i)) ;;\n"
                  "      esac\n"
                  "    fi\n"
                  "  done\n"
                  "  if ((i > COMP_CWORD)); then\n"
                  "    option=$word\n"
                  "    [[ $cur == = ]] && cur=\n"
                  "  elif [[ -z $rest && $cur == --*=* ]]; then\n"
                  "    option=${cur%%=*} prefix=${cur%%=*}= cur=${cur#*=}\n"
                  "  fi\n"
                  "  if [[ -n $option ]]; then\n",
                  table("\"$command $option\"", tables.values),
                  "  elif [[ -z $rest && $cur == -* ]]; then\n",
                  table("$command", tables.switches), "  else\n",
                  table("$command", tables.operands),
                  "  fi\n"
                  "  COMPREPLY=(\"${COMPREPLY[@]/#/$prefix}\")\n"
                  "}\ncomplete -F ",
                  function, " ", program.name, "\n");
  return out;
}

std::string ZshAction(const Option& option) {
  switch (option.completion) {
    case Completion::kFile:
      return "_files";
    case Completion::kDirectory:
      return "_files -/";
    case Completion::kSilo:
      return absl::StrCat("($(", kListSilos, "))");
    case Completion::kNone:
      break;
  }
  return option.choices.empty()
             ? " "
             : absl::StrCat("(", absl::StrJoin(option.choices, " "), ")");
}

// One specification for _arguments, in which brackets and colons count.
std::string ZshOption(const Option& option) {
  const std::string help = absl::StrReplaceAll(
      option.help, {{"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
  std::string spec = absl::StrCat(
      "--", option.name, option.argument.empty() ? "" : "=", "[", help, "]");
  if (!option.argument.empty()) {
    absl::StrAppend(&spec, ":", option.argument, ":", ZshAction(option));
  }
  return ShellQuote(spec);
}

std::string ZshArguments(const std::vector<Option>& options,
                         absl::string_view rest) {
  std::string out = "_arguments";
  for (const Option& option : options) {
    absl::StrAppend(&out, " \\\n      ", ZshOption(option));
  }
  return absl::StrCat(out, rest, "\n");
}

std::string ZshCompletion(const Program& program) {
  std::string out = absl::StrCat("#compdef ", program.name, "\n");
  const auto operands = [](const Command& command) {
    return absl::StrCat(
        " \\\n      ",
        ShellQuote(absl::StrCat(
            command.completed_operands == 1 ? "1" : "*",
            ":operand:", ZshAction({.completion = command.completion}))));
  };
  if (program.commands.empty()) {
    return absl::StrCat(out, ZshArguments(ShownOptions(program, &program.main),
                                          operands(program.main)));
  }
  absl::StrAppend(&out, "local context state line\n",
                  ZshArguments(ShownOptions(program, &program.main),
                               absl::StrCat(" \\\n      '1:command:(",
                                            CommandWords(program),
                                            ")' '*::operand:->operands'")),
                  "[[ $state == operands ]] || return\ncase $line[1] in\n");
  for (const Command& command : program.commands) {
    absl::StrAppend(
        &out, "  ", command.name, ") ",
        ZshArguments(ShownOptions(program, &command), operands(command)),
        "    ;;\n");
  }
  return out + "esac\n";
}

std::string FishOptions(absl::string_view program, absl::string_view condition,
                        const std::vector<Option>& options) {
  std::string out;
  for (const Option& option : options) {
    absl::StrAppend(&out, "complete -c ", program, condition, " -l ",
                    option.name);
    if (option.short_name != 0) {
      absl::StrAppend(&out, " -s ", std::string(1, option.short_name));
    }
    if (!option.argument.empty()) absl::StrAppend(&out, " -r");
    if (option.completion == Completion::kFile) absl::StrAppend(&out, " -F");
    if (option.completion == Completion::kSilo) {
      absl::StrAppend(&out, " -f -a '(", kListSilos, ")'");
    }
    if (!option.choices.empty()) {
      absl::StrAppend(&out, " -f -a ",
                      FishQuote(absl::StrJoin(option.choices, " ")));
    }
    absl::StrAppend(&out, " -d ", FishQuote(option.help), "\n");
  }
  return out;
}

std::string FishCompletion(const Program& program) {
  std::string out = absl::StrCat("# fish completion of ", program.name, "\n");
  for (const Command& command : program.commands) {
    absl::StrAppend(&out, "complete -c ", program.name,
                    " -n __fish_use_subcommand -f -a ", command.name, " -d ",
                    FishQuote(command.summary), "\n");
    const std::string condition =
        absl::StrCat(" -n '__fish_seen_subcommand_from ", command.name, "'");
    absl::StrAppend(&out,
                    FishOptions(program.name, condition, command.options));
    if (command.completion == Completion::kSilo) {
      // Behind "--" comes what is another program's.
      absl::StrAppend(&out, "complete -c ", program.name,
                      " -n '__fish_seen_subcommand_from ", command.name,
                      "; and not contains -- -- (commandline -opc)' -f -a '(",
                      kListSilos, ")'\n");
    }
  }
  absl::StrAppend(&out, FishOptions(program.name, "",
                                    ShownOptions(program, &program.main)));
  return out;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const Program& program,
                                             absl::string_view shell) {
  if (shell == "bash") return BashCompletion(program);
  if (shell == "zsh") return ZshCompletion(program);
  if (shell == "fish") return FishCompletion(program);
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(shell), " is not one of bash, zsh, fish"));
}

}  // namespace vmsilo
