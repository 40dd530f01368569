#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo {

// As much of a foreign string as one message shows. Enough for any path and
// most lines; a guest that sends more only gets its beginning into a log.
inline constexpr size_t kMaxEscapedBytes = 256;

// Foreign bytes for a message: printable ASCII as it is, `\\` and `\'`
// escaped, everything else, non-ASCII too, as \xNN, so that nothing can move
// a terminal's cursor or forge a second line. Beyond `max` bytes of input it
// ends in "...".
std::string Escaped(absl::string_view bytes, size_t max = kMaxEscapedBytes);

// The same for text that does not come between quotes, such as a sentence of
// another program: its quotes and backslashes stay as they are.
std::string EscapedText(absl::string_view bytes, size_t max = kMaxEscapedBytes);

// As Escaped(), between single quotes.
std::string Quoted(absl::string_view bytes, size_t max = kMaxEscapedBytes);

}  // namespace vmsilo
