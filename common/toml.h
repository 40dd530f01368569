#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/value.h"

namespace vmsilo {

// Parts of one dotted key (`a.b.c` has three), and arrays and inline tables
// within each other. vmsilo's own keys have six parts at most. The tree is at
// most (kMaxTomlDepth + 2) * kMaxTomlKeyParts deep, which bounds recursion.
inline constexpr size_t kMaxTomlKeyParts = 16;
inline constexpr size_t kMaxTomlDepth = 16;

// Dots in the keys of one text; those between digits count as well, those of
// table headers do not. The library searches all tables that dotted keys have
// made for each further one: 20,000 take it some 50 ms. vmsilo's hundred silos
// with everything on have 500.
inline constexpr size_t kMaxTomlDots = 20'000;

// As many syntax errors of one text as are worth a person's time. Each costs
// another pass over the text, so that large texts get fewer: as many as
// passes over this number of bytes find.
inline constexpr size_t kMaxTomlErrors = 20;
inline constexpr size_t kMaxTomlParsedBytes = size_t{4} << 20;

// Parses a TOML 1.0 document. After a syntax error it goes on with the next
// statement (after a broken table header: with the next header), so that one
// run finds them all; `value` then lacks the broken ones. `source` goes into
// the positions. The caller bounds the text's size.
ParsedText ParseTomlText(absl::string_view text, uint32_t source = 0);

}  // namespace vmsilo
