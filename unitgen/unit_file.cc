#include "unitgen/unit_file.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"

namespace vmsilo::unitgen {
namespace {

bool IsComment(absl::string_view line) {
  line = absl::StripLeadingAsciiWhitespace(line);
  return line.empty() || line[0] == '#' || line[0] == ';';
}

}  // namespace

absl::StatusOr<std::vector<Assignment>> ParseUnitFile(absl::string_view text) {
  std::vector<Assignment> settings;
  std::string section;
  std::string joined;
  bool continues = false;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    // A comment may stand between the parts of a continued line; an empty
    // line ends it.
    if (IsComment(line) &&
        (!continues || !absl::StripAsciiWhitespace(line).empty())) {
      continue;
    }
    const bool more = !line.empty() && line.back() == '\\';
    if (more) line.remove_suffix(1);
    absl::StrAppend(&joined, line, more ? " " : "");
    continues = more;
    if (more) continue;

    const std::string whole(absl::StripAsciiWhitespace(joined));
    joined.clear();
    if (whole.empty()) continue;
    if (whole.front() == '[' && whole.back() == ']') {
      section = whole.substr(1, whole.size() - 2);
      continue;
    }
    const size_t equals = whole.find('=');
    if (section.empty() || equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, ": not a setting in a section: ", Quoted(whole)));
    }
    const absl::string_view view = whole;
    settings.push_back(
        {section,
         std::string(absl::StripAsciiWhitespace(view.substr(0, equals))),
         std::string(absl::StripAsciiWhitespace(view.substr(equals + 1)))});
  }
  if (continues) {
    return absl::InvalidArgumentError("the last line continues nowhere");
  }
  return settings;
}

absl::string_view UnitType(absl::string_view unit) {
  const size_t dot = unit.rfind('.');
  return dot == absl::string_view::npos ? "" : unit.substr(dot + 1);
}

std::vector<std::string> UnitNames(absl::string_view value) {
  return absl::StrSplit(value, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

}  // namespace vmsilo::unitgen
