#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace vmsilo {

// A path, cut before its last component: "/a/b" is "b" in "/a", "/b" is "b" in
// "/", and "b" is "b" in ".". One that ends in a slash has no name.
struct PathParts {
  std::string directory;
  std::string name;
};
PathParts SplitPath(absl::string_view path);

// open(2) with O_CLOEXEC, retried on EINTR. The message names the path.
absl::StatusOr<UniqueFd> Open(const std::string& path, int flags,
                              mode_t mode = 0);
absl::StatusOr<UniqueFd> OpenAt(int dirfd, const std::string& path, int flags,
                                mode_t mode = 0);

// openat2(2) below `dirfd`: follows no symbolic link and leaves `dirfd` by no
// means, neither by `..` nor by an absolute path. For every path that someone
// less privileged can write to.
absl::StatusOr<UniqueFd> OpenBeneath(int dirfd, const std::string& path,
                                     int flags, mode_t mode = 0);

// As OpenBeneath for an absolute path; no component may be a symbolic link.
//
// Both do without openat2() where it is missing: systemd refuses it to services
// with RestrictSUIDSGID=, which DynamicUser= implies. Then `..` is refused
// altogether.
absl::StatusOr<UniqueFd> OpenNoSymlinks(const std::string& path, int flags,
                                        mode_t mode = 0);

namespace file_internal {

// The same, one component after the other. Beneath `dirfd`, unless that is
// AT_FDCWD.
absl::StatusOr<UniqueFd> OpenByWalking(int dirfd, const std::string& path,
                                       int flags, mode_t mode = 0);

}  // namespace file_internal

// The whole of a file that has at most `max` bytes; ResourceExhausted if it
// has more. Files in /proc and /sys work, pipes too.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max);
absl::StatusOr<std::string> ReadFileAt(int dirfd, const std::string& path,
                                       size_t max);
absl::StatusOr<std::string> ReadAll(int fd, size_t max);

// Writes everything to a blocking descriptor.
absl::Status WriteAll(int fd, absl::string_view bytes);

// Gives `path` the content and mode at once: readers see the old file or the
// new one, after a power cut too unless it is kFleeting: then nobody waits for
// the disk. A failure leaves the old file, and nothing else behind.
enum class Durability { kLasting, kFleeting };
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view content, mode_t mode,
                                 Durability durability = Durability::kLasting);

}  // namespace vmsilo
