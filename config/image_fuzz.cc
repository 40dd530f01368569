#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/log.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/image.h"
#include "config/text_rules.h"

namespace vmsilo::config {
namespace {

// A file of the image's own directory.
void CheckFile(const std::string& file) {
  std::string accepted;
  CHECK(AcceptImageFile(file, &accepted));
  CHECK(!absl::StartsWith(file, "/"));
  CHECK(!absl::StrContains(absl::StrCat("/", file, "/"), "/../"));
}

void CheckImage(absl::string_view text) {
  const ParsedImage parsed = ParseImage("image.toml", text);
  CHECK(parsed.diagnostics.size() <= kMaxDiagnostics + 1);
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    CHECK(diagnostic.severity == Severity::kError);
    // A message goes to terminals and journals.
    for (unsigned char c : ToString(diagnostic)) CHECK(c >= 0x20 && c != 0x7f);
  }
  if (!parsed.diagnostics.empty()) return;
  CheckFile(parsed.image.kernel);
  if (parsed.image.initrd) CheckFile(*parsed.image.initrd);
  if (parsed.image.root_disk) CheckFile(*parsed.image.root_disk);
  for (const std::string& line : parsed.image.kernel_params) {
    std::string accepted;
    CHECK(AcceptLine(line, &accepted));
  }
}

}  // namespace
}  // namespace vmsilo::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vmsilo::config::CheckImage(
      absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
