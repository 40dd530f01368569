#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace vmsilo {

// As Debian 12 builds Abseil, absl::string_view is a type of its own that
// neither converts to std::string_view nor from it. These two are for the
// seams to libraries that speak the standard one; they cost nothing.
inline std::string_view ToStd(absl::string_view text) {
  return {text.data(), text.size()};
}

inline absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace vmsilo
