#include "config/image.h"

#include <utility>

#include "absl/strings/match.h"
#include "common/toml.h"
#include "common/value.h"
#include "config/schema.h"

namespace vmsilo::config {
namespace {

void RefuseOutside(const Value& tree, absl::string_view key,
                   DiagnosticSink& sink) {
  const Value::Member* member = tree.FindMember(key);
  if (member == nullptr) return;
  const std::string* text = member->value.AsString();
  if (text == nullptr || !absl::StartsWith(*text, "/")) return;
  sink.Add(Severity::kError, member->value.at(), std::string(key),
           "an image.toml names files of its own directory only; the "
           "configuration can name others, in images.NAME");
}

}  // namespace

ParsedImage ParseImage(absl::string_view path, absl::string_view text) {
  ParsedImage result;
  DiagnosticSink sink({std::string(path)});
  ParsedText parsed = ParseTomlText(text, /*source=*/0);
  for (TextError& error : parsed.errors) {
    sink.Add(Severity::kError, error.at, "", std::move(error.message));
  }
  if (parsed.value.has_value()) {
    result.image = ReadImage(*parsed.value, sink);
    for (const absl::string_view key : {"kernel", "initrd", "rootDisk"}) {
      RefuseOutside(*parsed.value, key, sink);
    }
  }
  result.image.is_from_file = true;
  result.diagnostics = sink.Take();
  return result;
}

}  // namespace vmsilo::config
