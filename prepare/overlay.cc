#include "prepare/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "common/parse_size.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "prepare/owner.h"
#include "prepare/trusted_path.h"

namespace vmsilo::prepare {
namespace {

std::optional<Bytes> FreeBytes(int fd) {
  struct statvfs info = {};
  if (fstatvfs(fd, &info) != 0) return std::nullopt;
  return Bytes(uint64_t{info.f_bavail} * info.f_frsize);
}

// `error` in words that name what is short, and of what.
absl::Status Explain(int error, const std::string& path, Bytes size,
                     const std::optional<Bytes>& free) {
  const std::string what =
      absl::StrCat("make overlay ", Quoted(path), " of ", FormatSize(size));
  if (error == EFBIG) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what,
                     ": its file system has no files of that size; "
                     "choose a smaller rootOverlay.size"));
  }
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat(
        what, error == EDQUOT ? ": quota exceeded" : ": no space left",
        free ? absl::StrCat(", ", FormatSize(*free), " free") : "",
        "; make room there or choose a smaller rootOverlay.size"));
  }
  return ErrnoStatus(error, what);
}

}  // namespace

absl::Status MakeOverlay(const std::string& path, Bytes size,
                         const std::optional<Owner>& owner) {
  VMSILO_ASSIGN_OR_RETURN(const PathParts parts, SplitAbsolutePath(path));
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd directory,
                          OpenTrustedDirectory(parts.directory));
  const char* name = parts.name.c_str();
  if (unlinkat(directory.get(), name, 0) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove the last ", Quoted(path)));
  }
  const std::optional<Bytes> free = FreeBytes(directory.get());
  const UniqueFd file(openat(directory.get(), name,
                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                             0600));
  if (!file.is_valid()) return Explain(errno, path, size, free);
  // Better no disk than a short one.
  absl::Cleanup remove = [&] { unlinkat(directory.get(), name, 0); };
  if (ftruncate(file.get(), static_cast<off_t>(size.count())) != 0) {
    return Explain(errno, path, size, free);
  }
  // The umask may have taken away the owner's own bits.
  if (fchmod(file.get(), 0600) != 0) {
    return ErrnoStatus(absl::StrCat("set the mode of ", Quoted(path)));
  }
  if (owner && fchown(file.get(), owner->uid, owner->gid) != 0) {
    return ErrnoStatus(absl::StrCat("give ", Quoted(path), " to its owner"));
  }
  std::move(remove).Cancel();
  if (free && *free < size) {
    LOG(WARNING) << "overlay " << Quoted(path) << " may grow to "
                 << FormatSize(size) << ", but only " << FormatSize(*free)
                 << " are free: a guest that fills it will see its disk fail";
  }
  return absl::OkStatus();
}

}  // namespace vmsilo::prepare
