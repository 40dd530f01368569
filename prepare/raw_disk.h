#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace vmsilo::prepare {

// The first bytes that CheckRawDisk() looks at.
inline constexpr size_t kDiskHeadBytes = 32;

// The format that crosvm takes a disk for whose first bytes are `head`; nullopt
// for a raw one.
std::optional<absl::string_view> FormatByHead(absl::string_view head);

// An error if crosvm would not take the disk for a raw one. It cannot be told
// the format, so that a guest could write the head of another format to its raw
// disk, name a file of the host in it as what lies below, and read that after
// its next start.
absl::Status CheckRawDisk(const std::string& path);

}  // namespace vmsilo::prepare
