#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/config.h"
#include "config/diagnostics.h"

// An image's own description: the file image.toml in its directory.
namespace vmsilo::config {

// A person's description has a few lines; kernelParams may be longer than the
// 2 or 4 KiB that kernels take.
inline constexpr size_t kMaxImageDescriptionBytes = size_t{64} << 10;

struct ParsedImage {
  // Without a name. What was wrong has its default.
  Image image;
  // All of them errors.
  std::vector<Diagnostic> diagnostics;
};

// Parses the text of an image.toml; `path` is for messages. Images come from
// elsewhere, so that files outside of the image's directory, which may be
// devices of the host, are errors here, other than in `images.NAME`.
ParsedImage ParseImage(absl::string_view path, absl::string_view text);

}  // namespace vmsilo::config
