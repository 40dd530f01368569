#include "prepare/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "prepare/copy_tree.h"
#include "prepare/owner.h"
#include "prepare/trusted_path.h"

namespace vmsilo::prepare {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

// Each one fails only if another caller started within the same microseconds.
constexpr int kMaxAttempts = 16;

// Opens the directory, and makes what is missing of the path to it, for the
// owner of the directory that it is made in.
absl::StatusOr<UniqueFd> OpenOrMakeDirectory(const std::string& path) {
  absl::StatusOr<UniqueFd> directory = OpenTrustedDirectory(path);
  if (directory.ok() ||
      directory.status().code() != absl::StatusCode::kNotFound) {
    return directory;
  }
  VMSILO_ASSIGN_OR_RETURN(const PathParts parts, SplitAbsolutePath(path));
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd parent,
                          OpenOrMakeDirectory(parts.directory));
  struct stat info = {};
  if (fstat(parent.get(), &info) != 0) return ErrnoStatus(Quoted(path));
  // Made as that owner: what is made as root and given away could be something
  // else by then.
  const uid_t own_uid = static_cast<uid_t>(setfsuid(info.st_uid));
  const gid_t own_gid = static_cast<gid_t>(setfsgid(info.st_gid));
  const int made = mkdirat(parent.get(), parts.name.c_str(), 0755);
  const int error = errno;
  setfsgid(own_gid);
  setfsuid(own_uid);
  if (made != 0 && error != EEXIST) {
    return ErrnoStatus(error, absl::StrCat("make ", Quoted(path)));
  }
  return OpenTrustedDirectory(path);
}

// Whether the home is there. FailedPrecondition if something else is, or a link
// that others could have made.
absl::StatusOr<bool> Exists(int parent, const std::string& name,
                            const std::string& path) {
  const absl::StatusOr<TrustedPath> found = OpenTrusted(path);
  if (found.ok()) {
    if (S_ISDIR(found->info.st_mode)) return true;
    return absl::FailedPreconditionError(
        absl::StrCat(Quoted(path), " exists and is not a directory"));
  }
  if (found.status().code() != absl::StatusCode::kNotFound) {
    return found.status();
  }
  struct stat info = {};
  if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        Quoted(path), " is a symbolic link to something that does not exist"));
  }
  return false;
}

std::string Prefix(const std::string& name) {
  return absl::StrCat(".", name, ".new-");
}

// Removes what interrupted callers have left. Each holds a lock on its
// directory while it lives.
void RemoveLeftovers(int parent, const std::string& name) {
  UniqueFd fd(openat(parent, ".", kDirectoryFlags));
  if (!fd.is_valid()) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.get()),
                                                   closedir);
  if (stream == nullptr) return;
  (void)fd.Release();  // the stream's now
  std::vector<std::string> leftovers;
  while (const dirent* entry = readdir(stream.get())) {
    if (absl::StartsWith(entry->d_name, Prefix(name))) {
      leftovers.emplace_back(entry->d_name);
    }
  }
  for (const std::string& leftover : leftovers) {
    const UniqueFd directory(
        openat(parent, leftover.c_str(), kDirectoryFlags | O_NOFOLLOW));
    if (!directory.is_valid() ||
        flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
      continue;
    }
    const absl::Status removed = RemoveTree(parent, leftover.c_str());
    if (!removed.ok()) {
      LOG(WARNING) << "left over from an interrupted copy: "
                   << removed.message() << ", ignoring";
    }
  }
}

struct Temporary {
  std::string name;
  UniqueFd fd;  // locked
};

// Whether `fd` is what `name` stands for, and nobody else can get into it.
bool IsOurs(int parent, const std::string& name, int fd) {
  struct stat named = {};
  struct stat opened = {};
  return fstat(fd, &opened) == 0 &&
         fstatat(parent, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino &&
         opened.st_uid == geteuid() && (opened.st_mode & 0077) == 0;
}

absl::StatusOr<Temporary> MakeTemporary(int parent, const PathParts& parts) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    Temporary temporary;
    temporary.name = absl::StrCat(Prefix(parts.name), getpid(), "-", attempt);
    if (mkdirat(parent, temporary.name.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return ErrnoStatus(
          absl::StrCat("make a directory in ", Quoted(parts.directory)));
    }
    temporary.fd = UniqueFd(
        openat(parent, temporary.name.c_str(), kDirectoryFlags | O_NOFOLLOW));
    if (temporary.fd.is_valid() &&
        flock(temporary.fd.get(), LOCK_EX | LOCK_NB) == 0 &&
        IsOurs(parent, temporary.name, temporary.fd.get())) {
      return temporary;
    }
    // Another caller has taken it for a leftover, before it was locked.
  }
  return absl::AbortedError(absl::StrCat(
      "cannot keep a directory in ", Quoted(parts.directory), " to ourselves"));
}

// Gives the finished directory its name. False if somebody was faster.
absl::StatusOr<bool> Publish(int parent, const std::string& from,
                             const std::string& to, const std::string& path) {
  if (renameat2(parent, from.c_str(), parent, to.c_str(), RENAME_NOREPLACE) ==
      0) {
    return true;
  }
  if (errno == EINVAL || errno == ENOSYS) {
    // A file system without that flag. A plain rename replaces an empty
    // directory at most.
    if (renameat(parent, from.c_str(), parent, to.c_str()) == 0) return true;
  }
  if (errno == EEXIST || errno == ENOTEMPTY) return false;
  return ErrnoStatus(absl::StrCat("rename to ", Quoted(path)));
}

}  // namespace

absl::Status MakeHome(const std::string& template_path, const std::string& path,
                      const Owner& owner) {
  VMSILO_ASSIGN_OR_RETURN(const PathParts parts, SplitAbsolutePath(path));
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd parent,
                          OpenOrMakeDirectory(parts.directory));
  VMSILO_ASSIGN_OR_RETURN(const bool exists,
                          Exists(parent.get(), parts.name, path));
  if (exists) return absl::OkStatus();
  RemoveLeftovers(parent.get(), parts.name);

  absl::StatusOr<UniqueFd> source = OpenTrustedDirectory(template_path);
  if (!source.ok() && source.status().code() != absl::StatusCode::kNotFound) {
    return Annotate(source.status(), "home template");
  }

  VMSILO_ASSIGN_OR_RETURN(const Temporary temporary,
                          MakeTemporary(parent.get(), parts));
  absl::Cleanup remove = [&] {
    // The error that led here says more than one of this would.
    (void)RemoveTree(parent.get(), temporary.name.c_str());
  };
  if (source.ok()) {
    const UniqueFd readable(openat(source->get(), ".", kDirectoryFlags));
    if (!readable.is_valid()) {
      return ErrnoStatus(absl::StrCat("read ", Quoted(template_path)));
    }
    VMSILO_RETURN_IF_ERROR(
        Annotate(CopyTree(readable.get(), temporary.fd.get(), owner),
                 absl::StrCat("copy ", Quoted(template_path))));
  } else {
    LOG(INFO) << "no home template " << Quoted(template_path) << ", making "
              << Quoted(path) << " empty";
    if (fchown(temporary.fd.get(), owner.uid, owner.gid) != 0) {
      return ErrnoStatus(absl::StrCat("give away ", Quoted(path)));
    }
  }
  // Once for the whole copy, where each file's own fsync() would cost seconds.
  if (syncfs(temporary.fd.get()) != 0) {
    return ErrnoStatus(absl::StrCat("write ", Quoted(path), " to the disk"));
  }
  VMSILO_ASSIGN_OR_RETURN(
      const bool is_ours,
      Publish(parent.get(), temporary.name, parts.name, path));
  if (!is_ours) return absl::OkStatus();
  std::move(remove).Cancel();
  const UniqueFd readable_parent(openat(parent.get(), ".", kDirectoryFlags));
  if (!readable_parent.is_valid() || fsync(readable_parent.get()) != 0) {
    return ErrnoStatus(
        absl::StrCat("write ", Quoted(parts.directory), " to the disk"));
  }
  return absl::OkStatus();
}

}  // namespace vmsilo::prepare
