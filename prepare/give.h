#pragma once

#include <string>

#include "absl/status/status.h"
#include "prepare/owner.h"

namespace vmsilo::prepare {

// Makes the regular file or socket `path` `to`'s, so that a hypervisor which
// is not root may open it. Only the user changes to `to`'s; the group becomes
// root's, so that neither the former owner's group nor other programs of `to`'s
// group have a part in it. A regular file's former owner is noted at the file
// itself for TakeBack().
//
// Done as root in directories of others, this must not become a way to get at
// root's files: FailedPrecondition for symbolic links that others could have
// made, for files with a second name, and for files that do not belong to the
// owner of the directory where others can write to it.
absl::Status Give(const std::string& path, const Owner& to);

// Undoes Give(): the file is its former owner's again, or root's where that
// could not be noted. Files that are not `from`'s are left alone.
absl::Status TakeBack(const std::string& path, const Owner& from);

// FailedPrecondition unless only root can change what `path` leads to: for
// paths that a program follows as root later.
absl::Status CheckFixed(const std::string& path);

}  // namespace vmsilo::prepare
