#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "prepare/owner.h"

namespace vmsilo::prepare {

// Makes an empty, sparse disk image of `size`, mode 0600, for `owner` or
// ourselves. What was there under that name is removed, not emptied: the last
// run's disk never shows through, a process that still has it open keeps it to
// itself, and a link in its place is not followed.
absl::Status MakeOverlay(const std::string& path, Bytes size,
                         const std::optional<Owner>& owner);

}  // namespace vmsilo::prepare
