// What people read of an option table: help and manual page.

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

}  // namespace

namespace options_internal {

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

}  // namespace options_internal

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
  for (const Option& option : options_internal::ShownOptions(
           program, is_subcommand ? command : &program.main)) {
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
  for (const Option& option :
       options_internal::ShownOptions(program, &program.main)) {
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

}  // namespace vmsilo
