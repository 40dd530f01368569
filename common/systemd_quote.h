#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

// Values for systemd's files, so that systemd reads back exactly the bytes
// that went in. Each kind of setting has rules of its own (systemd.syntax(7),
// "Command lines" of systemd.service(5)); so there is a function for each.
// All are pure and take any bytes but NUL, which no argument, path or variable
// can hold.
namespace vmsilo {

// One argument of ExecStart= and its like. Specifiers (`%`), environment
// variables (`$`), quotes, backslashes, blanks, a lone `;` and line ends lose
// their meaning; control and non-ASCII bytes become escapes, because systemd
// drops lines that are not UTF-8. An empty string is an argument, too.
std::string QuoteExecArgument(absl::string_view argument);
// The same at the end of `line`: most of a generated unit is such arguments.
void AppendExecArgument(absl::string_view argument, std::string* line);

// The program of such a line. nullopt for what systemd accepts in no spelling:
// a path that is not absolute, or holds control characters, quotes, a
// backslash or bytes that are not UTF-8.
std::optional<std::string> QuoteExecProgram(absl::string_view path);

// `KEY=VALUE` for Environment=. nullopt if the value holds control characters
// other than tab and line end, or is not UTF-8: systemd ignores those.
std::optional<std::string> QuoteEnvironment(absl::string_view key,
                                            absl::string_view value);

// A path in a list of paths: BindPaths=, ReadWritePaths=, DeviceAllow=. A
// colon does not separate within it. nullopt for a path that is not absolute,
// holds control characters, both kinds of quotes, or is not UTF-8.
std::optional<std::string> QuotePath(absl::string_view path);

// A setting that takes the whole rest of the line and knows specifiers only:
// Description=, AssertPathExists=. nullopt if the line would not come back as
// it is: control characters, blanks at an end, a backslash at the end, not
// UTF-8.
std::optional<std::string> PlainValue(absl::string_view text);

// The same for text that people read, such as Description=: what PlainValue()
// refuses is replaced.
std::string DescriptionValue(absl::string_view text);

// A path in a line of tmpfiles.d(5). nullopt for a path that is not absolute,
// holds control characters or is not UTF-8: older versions undo quotes only,
// newer ones C escapes as well.
std::optional<std::string> QuoteTmpfiles(absl::string_view path);

// The argument of such a line that writes a file: all of the rest of the line
// is the file's content. nullopt for a text that is empty or "-", begins with
// a blank, or is not UTF-8.
std::optional<std::string> QuoteTmpfilesContent(absl::string_view text);

// A line for StandardInputText=, which adds the line end itself. Not for an
// empty one: that takes all lines back.
std::string QuoteInputText(absl::string_view line);

// The part of a unit's name between its prefix and its suffix, as
// systemd-escape(1) makes it; with `--path` for the second.
std::string EscapeUnitName(absl::string_view text);
std::string EscapeUnitPath(absl::string_view path);

}  // namespace vmsilo
