#include "unitgen/tmpfiles.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/escape.h"
#include "common/systemd_quote.h"
#include "config/layout.h"

namespace vmsilo::unitgen {

std::vector<std::string> TmpfilesLines(Context* context) {
  const config::Config& config = context->config();
  std::vector<std::string> lines;
  auto directory = [&](absl::string_view path, absl::string_view mode) {
    const std::optional<std::string> quoted = QuoteTmpfiles(path);
    if (!quoted.has_value()) {
      context->Error("host.sharedHomeDir",
                     absl::StrCat("systemd-tmpfiles cannot be told the path ",
                                  Quoted(path)));
      return;
    }
    lines.push_back(absl::StrCat("d ", *quoted, " ", mode, " root root -"));
  };
  directory(layout::kRuntimeRoot, "0755");
  directory(layout::kStateRoot, "0755");
  // Each file in it belongs to one silo's user, who knows its name.
  directory(layout::kOverlayDir, "0711");
  bool has_home = false;
  bool has_default_home = false;
  for (const config::Vm& vm : config.vms) {
    if (!vm.shared_home.has_value()) continue;
    has_home = true;
    if (absl::StartsWith(*vm.shared_home,
                         absl::StrCat(config.host.shared_home_dir, "/"))) {
      has_default_home = true;
    }
  }
  if (has_default_home) directory(config.host.shared_home_dir, "0755");
  if (has_home) directory(layout::kHomeTemplate, "0755");
  return lines;
}

void AddTmpfiles(Context* context) {
  if (context->mode().is_generator || context->config().vms.empty()) return;
  File file;
  file.reason = "makes the directories that silos share";
  file.keys = {"vms"};
  file.content = "# Made by vmsilo-unitgen: do not change it.\n";
  for (const std::string& line : TmpfilesLines(context)) {
    absl::StrAppend(&file.content, line, "\n");
  }
  context->EmitFile("tmpfiles.d/vmsilo.conf", std::move(file));
}

}  // namespace vmsilo::unitgen
