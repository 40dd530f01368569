#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/log.h"
#include "unitgen/manifest.h"

// Whatever is accepted leads nowhere outside the root and is printed so that
// it is accepted again, as the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::StatusOr<vmsilo::unitgen::Manifest> manifest =
      vmsilo::unitgen::ParseManifest(
          absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!manifest.ok()) return 0;
  for (const auto& [path, fingerprints] : manifest->files) {
    CHECK(vmsilo::unitgen::IsManifestPath(path));
    CHECK(!fingerprints.empty());
  }
  for (const std::string& path : manifest->directories) {
    CHECK(vmsilo::unitgen::IsManifestPath(path));
  }
  const auto again =
      vmsilo::unitgen::ParseManifest(vmsilo::unitgen::PrintManifest(*manifest));
  CHECK(again.ok() && *again == *manifest);
  return 0;
}
