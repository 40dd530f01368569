#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/value.h"

namespace vmsilo {

// Tables and arrays within each other. Nothing that vmsilo reads needs more
// than ten; readers of the tree may recurse.
inline constexpr size_t kMaxJsonDepth = 64;

// As many errors of one text as are worth a person's time.
inline constexpr size_t kMaxJsonErrors = 20;

// Parses a JSON text (RFC 8259; UTF-8, one value, no comments). A syntax error
// ends it, duplicate keys and numbers that fit nowhere do not: every one is
// reported, and the first of several equal keys counts. `source` goes into
// the positions. The caller bounds the text's size.
ParsedText ParseJsonText(absl::string_view text, uint32_t source = 0);

// The same for protocols: the value, or InvalidArgument with the first error,
// its line and column.
absl::StatusOr<Value> ParseJson(absl::string_view text);

// `text` as a JSON string, with its quotes. Bytes that are no valid UTF-8
// become U+FFFD.
std::string JsonString(absl::string_view text);

// The value as JSON, on one line; with `indent` > 0 for people. Dates become
// strings, infinities and NaN null.
std::string ToJson(const Value& value, int indent = 0);

}  // namespace vmsilo
