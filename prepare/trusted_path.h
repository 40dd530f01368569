#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace vmsilo::prepare {

// Opens the directory `path`, absolute, with O_PATH. A symbolic link on the
// way is followed only where nobody but root or ourselves could have put it:
// an administrator may move /var/lib elsewhere with one, while a user's link
// must not send a program that runs as root to a place of the user's choice.
// FailedPrecondition for other links.
absl::StatusOr<UniqueFd> OpenTrustedDirectory(const std::string& path);

// A path, cut before its last component.
struct SplitPath {
  std::string directory;
  std::string name;
};

// InvalidArgument if `path` is not absolute, or does not end in the name of a
// file.
absl::StatusOr<SplitPath> Split(const std::string& path);

}  // namespace vmsilo::prepare
