#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"

namespace vmsilo {

// A size as people write it: a decimal number, with a fraction if they like,
// and B, K, M, G or T in either case, or KiB, MiB, GiB, TiB. Units are binary:
// `400m` = `400M` = `400MiB`. No unit means bytes. `KB`, `MB` and the like are
// refused, because half of their readers take them for decimal ones.
// The result is exact: InvalidArgument for a fraction that is no whole number
// of bytes, OutOfRange beyond 2^63-1 bytes, the most a file can have.
absl::StatusOr<Bytes> ParseSize(absl::string_view text);

// The shortest text that ParseSize() reads back as `size`: `400M`, `1536M`,
// `1000`.
std::string FormatSize(Bytes size);

}  // namespace vmsilo
