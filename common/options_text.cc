// What people read of an option table: help, manual page, completions.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/options.h"
#include "common/version.h"

namespace vmsilo {
namespace {

// Where the explanations of options begin, and lines end.
constexpr size_t kHelpColumn = 26;
constexpr size_t kHelpWidth = 79;

// --help and --version as every program shows them.
std::vector<Option> ShownOptions(const Program& program,
                                 const Command* command) {
  std::vector<Option> shown;
  const auto add = [&shown](const std::vector<Option>& options) {
    shown.insert(shown.end(), options.begin(), options.end());
  };
  if (command != nullptr) add(command->options);
  add(program.options);
  shown.push_back(
      {.name = "help", .short_name = 'h', .help = "Show this help"});
  shown.push_back({.name = "version", .help = "Show the version"});
  return shown;
}

// Terminal columns of a text: UTF-8 continuation bytes take none.
size_t Columns(absl::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Breaks `text` into lines that begin in column `indent`; `column` is where
// the first one begins.
std::string Wrap(absl::string_view text, size_t column, size_t indent) {
  std::string out(column < indent ? indent - column : 0, ' ');
  column = std::max(column, indent);
  bool is_first = true;
  for (const absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    const size_t width = Columns(word);
    if (!is_first && column + 1 + width > kHelpWidth) {
      absl::StrAppend(&out, "\n", std::string(indent, ' '));
      column = indent;
    } else if (!is_first) {
      out += ' ';
      ++column;
    }
    absl::StrAppend(&out, word);
    column += width;
    is_first = false;
  }
  return out + "\n";
}

std::string Paragraphs(absl::string_view text) {
  std::string out;
  for (const absl::string_view paragraph :
       absl::StrSplit(text, "\n\n", absl::SkipWhitespace())) {
    absl::StrAppend(&out, "\n", Wrap(paragraph, 0, 0));
  }
  return out;
}

std::string OptionHead(const Option& option) {
  std::string head =
      option.short_name == 0
          ? "  --"
          : absl::StrCat("  -", std::string(1, option.short_name), ", --");
  absl::StrAppend(&head, option.name);
  if (!option.argument.empty()) absl::StrAppend(&head, "=", option.argument);
  return head;
}

std::string HelpEntry(absl::string_view head, absl::string_view help) {
  const size_t width = Columns(head);
  if (width + 2 > kHelpColumn) {
    return absl::StrCat(head, "\n", Wrap(help, 0, kHelpColumn));
  }
  return absl::StrCat(head, Wrap(help, width, kHelpColumn));
}

bool IsSubcommand(const Program& program, const Command* command) {
  return command != nullptr && command != &program.main;
}

std::string UsageLine(const Program& program, const Command* command) {
  std::string line = program.name;
  if (IsSubcommand(program, command)) {
    absl::StrAppend(&line, " ", command->name, " [OPTION…]");
    if (!command->operands.empty()) {
      absl::StrAppend(&line, " ", command->operands);
    }
    return line;
  }
  absl::StrAppend(&line, " [OPTION…]");
  if (!program.commands.empty()) {
    absl::StrAppend(&line, program.main.run ? " [COMMAND …]" : " COMMAND …");
  } else if (!program.main.operands.empty()) {
    absl::StrAppend(&line, " ", program.main.operands);
  }
  return line;
}

// Text for troff: no line may begin with a control character.
std::string Troff(absl::string_view text) {
  std::string out =
      absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}, {"…", "..."}});
  if (absl::StartsWith(out, ".") || absl::StartsWith(out, "'")) {
    out.insert(0, "\\&");
  }
  return absl::StrReplaceAll(out, {{"\n.", "\n\\&."}, {"\n'", "\n\\&'"}});
}

// Paragraphs for the place after a heading, which begins the first by itself.
std::string TroffParagraphs(absl::string_view text) {
  const std::vector<absl::string_view> paragraphs =
      absl::StrSplit(text, "\n\n", absl::SkipWhitespace());
  return absl::StrJoin(
      paragraphs, ".PP\n", [](std::string* out, absl::string_view paragraph) {
        absl::StrAppend(out, Troff(absl::StripAsciiWhitespace(paragraph)),
                        "\n");
      });
}

std::string TroffOption(const Option& option) {
  std::string out = ".TP\n";
  if (option.short_name != 0) {
    absl::StrAppend(&out, "\\fB\\-", std::string(1, option.short_name),
                    "\\fR, ");
  }
  absl::StrAppend(&out, "\\fB\\-\\-", Troff(option.name), "\\fR");
  if (!option.argument.empty()) {
    absl::StrAppend(&out, "=\\fI", Troff(option.argument), "\\fR");
  }
  absl::StrAppend(&out, "\n", Troff(option.help), ".\n");
  return out;
}

std::string TroffExamples(const std::vector<Example>& examples) {
  std::string out;
  for (const Example& example : examples) {
    absl::StrAppend(&out, ".TP\n\\fB", Troff(example.command), "\\fR\n",
                    Troff(example.explanation), ".\n");
  }
  return out;
}

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

std::string BashWords(const Option& option) {
  switch (option.completion) {
    case Completion::kFile:
      return "COMPREPLY=($(compgen -f -- \"$cur\"))";
    case Completion::kDirectory:
      return "COMPREPLY=($(compgen -d -- \"$cur\"))";
    case Completion::kSilo:
      return absl::StrCat("COMPREPLY=($(compgen -W \"$(", kListSilos,
                          ")\" -- \"$cur\"))");
    case Completion::kNone:
      break;
  }
  return absl::StrCat("COMPREPLY=($(compgen -W ",
                      ShellQuote(absl::StrJoin(option.choices, " ")),
                      " -- \"$cur\"))");
}

std::string Switches(const std::vector<Option>& options) {
  return absl::StrJoin(options, " ",
                       [](std::string* out, const Option& option) {
                         absl::StrAppend(out, "--", option.name);
                       });
}

// The part of a completion function that is about one command.
std::string BashCommand(const Program& program, const Command& command,
                        absl::string_view more_words) {
  const std::vector<Option> options = ShownOptions(program, &command);
  std::string out = "      case \"$prev\" in\n";
  for (const Option& option : options) {
    if (option.argument.empty()) continue;
    absl::StrAppend(&out, "        --", option.name, ") ", BashWords(option),
                    "; return ;;\n");
  }
  absl::StrAppend(
      &out, "        *) ;;\n      esac\n", "      if [[ $cur == -* ]]; then\n",
      "        COMPREPLY=($(compgen -W ", ShellQuote(Switches(options)),
      " -- \"$cur\"))\n", "      else\n        ",
      more_words.empty()
          ? BashWords({.completion = command.completion})
          : absl::StrCat("COMPREPLY=($(compgen -W ", ShellQuote(more_words),
                         " -- \"$cur\"))"),
      "\n      fi\n");
  return out;
}

std::string CommandWords(const Program& program) {
  return absl::StrJoin(program.commands, " ",
                       [](std::string* out, const Command& command) {
                         out->append(command.name);
                       });
}

std::string BashCompletion(const Program& program) {
  const std::string function = FunctionName(program);
  std::string out = absl::StrCat(
      "# bash completion of ", program.name, "\n", function, "() {\n",
      "  local cur=${COMP_WORDS[COMP_CWORD]} "
      "prev=${COMP_WORDS[COMP_CWORD-1]}\n",
      "  local command= word\n",
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n",
      "    if [[ $word != -* ]]; then command=$word; break; fi\n  done\n",
      "  case \"$command\" in\n");
  for (const Command& command : program.commands) {
    absl::StrAppend(&out, "    ", command.name, ")\n",
                    BashCommand(program, command, ""), "      ;;\n");
  }
  absl::StrAppend(&out, "    *)\n",
                  BashCommand(program, program.main, CommandWords(program)),
                  "      ;;\n  esac\n}\ncomplete -F ", function, " ",
                  program.name, "\n");
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
            "*:operand:", ZshAction({.completion = command.completion}))));
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
      absl::StrAppend(&out, "complete -c ", program.name, condition,
                      " -f -a '(", kListSilos, ")'\n");
    }
  }
  absl::StrAppend(&out, FishOptions(program.name, "",
                                    ShownOptions(program, &program.main)));
  return out;
}

}  // namespace

std::string HelpText(const Program& program, const Command* command) {
  const bool is_subcommand = IsSubcommand(program, command);
  std::string out =
      absl::StrCat("Usage: ", UsageLine(program, command), "\n",
                   is_subcommand ? command->summary : program.summary, ".\n");
  absl::StrAppend(&out, Paragraphs(is_subcommand ? command->description
                                                 : program.description));
  if (!is_subcommand && !program.commands.empty()) {
    absl::StrAppend(&out, "\nCommands:\n");
    for (const Command& c : program.commands) {
      std::string head = absl::StrCat("  ", c.name);
      if (!c.operands.empty()) absl::StrAppend(&head, " ", c.operands);
      absl::StrAppend(&out, HelpEntry(head, c.summary));
    }
  }
  absl::StrAppend(&out, "\nOptions:\n");
  for (const Option& option :
       ShownOptions(program, is_subcommand ? command : &program.main)) {
    absl::StrAppend(&out, HelpEntry(OptionHead(option), option.help));
  }
  const std::vector<Example>& examples =
      is_subcommand ? command->examples : program.examples;
  if (!examples.empty()) absl::StrAppend(&out, "\nExamples:\n");
  for (const Example& example : examples) {
    absl::StrAppend(&out, "  ", example.command, "\n",
                    Wrap(example.explanation, 0, 6));
  }
  return out;
}

std::string ManualPage(const Program& program) {
  std::string out = absl::StrCat(
      ".TH \"", absl::AsciiStrToUpper(Troff(program.name)), "\" \"",
      program.man_section, "\" \"", kVersionDate, "\" \"vmsilo ", kVersion,
      "\" \"vmsilo\"\n", ".SH NAME\n", Troff(program.name), " \\- ",
      Troff(program.summary), "\n", ".SH SYNOPSIS\n");
  std::vector<std::string> usages;
  if (program.commands.empty()) {
    usages.push_back(UsageLine(program, &program.main));
  }
  for (const Command& command : program.commands) {
    usages.push_back(UsageLine(program, &command));
  }
  absl::StrAppend(&out,
                  absl::StrJoin(usages, ".br\n",
                                [](std::string* text, const std::string& line) {
                                  absl::StrAppend(text, "\\fB", Troff(line),
                                                  "\\fR\n");
                                }));
  absl::StrAppend(&out, ".SH DESCRIPTION\n",
                  TroffParagraphs(program.description));
  if (!program.commands.empty()) absl::StrAppend(&out, ".SH COMMANDS\n");
  for (const Command& command : program.commands) {
    absl::StrAppend(&out, ".SS \"", Troff(command.name), " ",
                    Troff(command.operands), "\"\n", Troff(command.summary),
                    ".\n");
    const std::string description = TroffParagraphs(command.description);
    if (!description.empty()) absl::StrAppend(&out, ".PP\n", description);
    for (const Option& option : command.options) {
      absl::StrAppend(&out, TroffOption(option));
    }
    absl::StrAppend(&out, TroffExamples(command.examples));
  }
  absl::StrAppend(&out, ".SH OPTIONS\n");
  for (const Option& option : ShownOptions(program, &program.main)) {
    absl::StrAppend(&out, TroffOption(option));
  }
  for (const ManSection& section : program.man_sections) {
    absl::StrAppend(&out, ".SH \"", Troff(section.title), "\"\n",
                    TroffParagraphs(section.text));
  }
  if (!program.examples.empty()) {
    absl::StrAppend(&out, ".SH EXAMPLES\n", TroffExamples(program.examples));
  }
  if (!program.see_also.empty()) {
    absl::StrAppend(&out, ".SH \"SEE ALSO\"\n",
                    Troff(absl::StrJoin(program.see_also, ", ")), "\n");
  }
  return out;
}

absl::StatusOr<std::string> CompletionScript(const Program& program,
                                             absl::string_view shell) {
  if (shell == "bash") return BashCompletion(program);
  if (shell == "zsh") return ZshCompletion(program);
  if (shell == "fish") return FishCompletion(program);
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(shell), " is not one of bash, zsh, fish"));
}

}  // namespace vmsilo
