#include "config/config.h"

#include <algorithm>

#include "config/enum_words.h"

namespace vmsilo::config {

absl::string_view ToString(Hypervisor value) { return WordOf(value); }
absl::string_view ToString(CidAssignment value) { return WordOf(value); }
absl::string_view ToString(ConsoleMode value) { return WordOf(value); }
absl::string_view ToString(OverlayType value) { return WordOf(value); }
absl::string_view ToString(DiskFormat value) { return WordOf(value); }
absl::string_view ToString(SeccompPolicy value) { return WordOf(value); }
absl::string_view ToString(InodeFileHandles value) { return WordOf(value); }
absl::string_view ToString(CachePolicy value) { return WordOf(value); }
absl::string_view ToString(Accelerator value) { return WordOf(value); }
absl::string_view ToString(CloudHypervisorSeccomp value) {
  return WordOf(value);
}

const Vm* Config::FindVm(absl::string_view name) const {
  const auto found = std::lower_bound(
      vms.begin(), vms.end(), name,
      [](const Vm& vm, absl::string_view wanted) { return vm.name < wanted; });
  return found != vms.end() && found->name == name ? &*found : nullptr;
}

const Image* Config::FindImage(absl::string_view name) const {
  const auto found =
      std::lower_bound(images.begin(), images.end(), name,
                       [](const Image& image, absl::string_view wanted) {
                         return image.name < wanted;
                       });
  return found != images.end() && found->name == name ? &*found : nullptr;
}

}  // namespace vmsilo::config
