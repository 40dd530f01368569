#pragma once

#include <string>

#include "absl/status/status.h"
#include "prepare/owner.h"

namespace vmsilo::prepare {

// Makes the home directory `path` from `template_path`, unless it exists: then
// nothing is touched. The copy is made under another name beside it and
// renamed when it is complete and on the disk, so that an interrupted one is
// never taken for a home; one that was interrupted earlier is removed. Several
// callers at once end with one home. Directories above it are made as well.
//
// Without a template the home is empty, and its mode 0700.
absl::Status MakeHome(const std::string& template_path, const std::string& path,
                      const Owner& owner);

}  // namespace vmsilo::prepare
