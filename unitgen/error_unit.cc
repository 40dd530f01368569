#include "unitgen/error_unit.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/systemd_quote.h"
#include "unitgen/hardening.h"
#include "unitgen/unit.h"

namespace vmsilo::unitgen {

Output ErrorOutput(const std::vector<std::string>& messages,
                   absl::string_view program, absl::string_view config_file) {
  std::vector<std::string> shown(
      messages.begin(),
      messages.begin() + static_cast<ptrdiff_t>(
                             std::min(messages.size(), kMaxReportedMessages)));
  if (messages.size() > shown.size()) {
    shown.push_back(absl::StrCat("and ", messages.size() - shown.size(),
                                 " more; see vmsilo-unitgen check"));
  }
  std::string line = QuoteExecProgram(program).value_or("/bin/false");
  absl::StrAppend(&line, " ", kReportFailure);
  for (const std::string& message : shown) {
    const absl::string_view part =
        absl::string_view(message).substr(0, kMaxReportedBytes);
    absl::StrAppend(&line, " ", QuoteExecArgument(part));
  }

  Unit unit;
  unit.name = std::string(kErrorUnit);
  unit.reason = "says why no silo's units were generated";
  unit.In("Unit")
      .Add("Description", "vmsilo's configuration could not be used")
      .Add("Documentation", "man:vmsilo-unitgen(8) man:vmsilo.toml(5)");
  // systemd then notices by itself that the file has been mended, and asks
  // for a reload.
  if (const std::optional<std::string> source = PlainValue(config_file);
      source.has_value() && absl::StartsWith(*source, "/")) {
    unit.In("Unit").Add("SourcePath", *source);
  }
  unit.In("Service")
      .Add("Type", "oneshot")
      .Add("ExecStart", line)
      .Add("DynamicUser", "yes");
  AddHardening(Hardening(), &unit);
  unit.wanted_by = {"multi-user.target"};
  Output output;
  AddUnit(unit, &output);
  return output;
}

}  // namespace vmsilo::unitgen
