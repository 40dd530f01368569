#pragma once

#include "absl/status/status.h"
#include "prepare/owner.h"

namespace vmsilo::prepare {

// Directories within each other. A path of the kernel's maximal length has
// fewer than 2048 components, a home directory some dozen.
inline constexpr int kMaxTreeDepth = 256;

// Copies everything in the directory `from` into the directory `to`, which is
// empty, and `from`'s own attributes onto it, as `cp -a` does it: modes, times,
// extended attributes with access lists, symbolic links as links, hard links
// within the tree, holes. But everything belongs to `owner` afterwards, and
// what would give that owner rights it does not have is dropped: set-user-ID
// and set-group-ID bits of files, file capabilities. Devices and sockets are
// left out, with a warning.
//
// Neither tree is trusted to stand still: nothing is followed, nothing outside
// of `from` is read, and nothing outside of `to` written. A file that somebody
// other than the template's owner owns and that has further names elsewhere is
// left out as well: the link may be how its content was to get out.
//
// Both descriptors are borrowed and must be readable directories.
absl::Status CopyTree(int from, int to, const Owner& owner);

// Removes the directory `name` of `parent` with everything in it; follows
// nothing.
absl::Status RemoveTree(int parent, const char* name);

}  // namespace vmsilo::prepare
