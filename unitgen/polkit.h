#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "unitgen/context.h"

namespace vmsilo::unitgen {

// `text` as a string literal of JavaScript, ASCII only. `text` is UTF-8.
std::string JavaScriptString(absl::string_view text);

// The rule by which the desktop user may start, stop and restart silos.
void AddPolkit(Context* context);

}  // namespace vmsilo::unitgen
