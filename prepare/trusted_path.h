#pragma once

#include <sys/stat.h>

#include <string>

#include "absl/status/statusor.h"
#include "common/file.h"
#include "common/unique_fd.h"

namespace vmsilo::prepare {

// What a path leads to, and who decides that.
struct TrustedPath {
  UniqueFd fd;  // O_PATH
  struct stat info = {};
  // Whether only root and we can change what is in the directories on the way,
  // so that the path still leads there when somebody else follows it.
  bool is_fixed = true;
  // The same of the directory that holds it alone, and that one's owner.
  bool is_directory_trusted = true;
  uid_t directory_owner = 0;
};

// Opens `path`, absolute, with O_PATH. A symbolic link on the way or at its
// end is followed only where nobody but root or ourselves could have put it:
// an administrator may move /var/lib elsewhere with one, while a user's link
// must not send a program that runs as root to a place of the user's choice.
// FailedPrecondition for other links.
absl::StatusOr<TrustedPath> OpenTrusted(const std::string& path);

// The same; an error for anything but a directory.
absl::StatusOr<UniqueFd> OpenTrustedDirectory(const std::string& path);

// SplitPath(). InvalidArgument if `path` is not absolute, or does not end in
// the name of a file.
absl::StatusOr<PathParts> SplitAbsolutePath(const std::string& path);

}  // namespace vmsilo::prepare
