#include "unitgen/polkit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "config/layout.h"
#include "unitgen/features.h"

namespace vmsilo::unitgen {

std::string JavaScriptString(absl::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\' && c != '<') {
      out.push_back(c);
    } else {
      // Bytes as Latin-1: what is compared with this is a name, and names are
      // ASCII; a name that is not then compares unequal.
      absl::StrAppend(&out, "\\u00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 0xf]);
    }
  }
  out.push_back('"');
  return out;
}

void AddPolkit(Context* context) {
  const config::Config& config = context->config();
  if (context->mode().is_generator || config.vms.empty()) return;
  File file;
  file.reason =
      absl::StrCat("lets user '", config.user.name, "' start and stop silos");
  file.keys = {"user", "vms"};
  std::string& out = file.content;
  absl::StrAppend(
      &out,
      "// Made by vmsilo-unitgen: do not change it.\n"
      "//\n"
      "// One user may start, stop and restart silos, and nothing else: not\n"
      "// kill, not change, not mount into their services. An active session\n"
      "// is not asked for, because the session's end stops silos.\n"
      "polkit.addRule(function(action, subject) {\n"
      "  if (action.id != \"org.freedesktop.systemd1.manage-units\" ||\n"
      "      subject.user != ",
      JavaScriptString(config.user.name),
      ") {\n"
      "    return polkit.Result.NOT_HANDLED;\n"
      "  }\n"
      "  var units = [\n");
  for (const config::Vm& vm : config.vms) {
    absl::StrAppend(&out, "    ", JavaScriptString(layout::VmUnit(vm.name)),
                    ",\n    ", JavaScriptString(layout::SocketUnit(vm.name)),
                    ",\n");
  }
  absl::StrAppend(&out,
                  "  ];\n"
                  "  var verbs = [\"start\", \"stop\", \"restart\"];\n"
                  "  if (verbs.indexOf(action.lookup(\"verb\")) >= 0 &&\n"
                  "      units.indexOf(action.lookup(\"unit\")) >= 0) {\n"
                  "    return polkit.Result.YES;\n"
                  "  }\n"
                  "  return polkit.Result.NOT_HANDLED;\n"
                  "});\n");
  context->EmitFile("polkit-1/rules.d/50-vmsilo.rules", std::move(file));
}

}  // namespace vmsilo::unitgen
