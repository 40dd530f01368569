#include "prepare/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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
#include "prepare/owner.h"

namespace vmsilo::prepare {
namespace {

// The kernel's own limits (XATTR_LIST_MAX, XATTR_SIZE_MAX).
constexpr size_t kMaxXattrBytes = size_t{64} << 10;

constexpr size_t kCopyBytes = size_t{1} << 20;

absl::StatusOr<std::vector<std::string>> NamesIn(int directory) {
  UniqueFd fd(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_valid()) return ErrnoStatus("open a directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.get()),
                                                   closedir);
  if (stream == nullptr) return ErrnoStatus("read a directory");
  (void)fd.Release();  // the stream's now
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrnoStatus("read a directory");
  return names;
}

class Copier {
 public:
  Copier(int to_root, uid_t template_owner, const Owner& owner)
      : to_root_(to_root), template_owner_(template_owner), owner_(owner) {}

  absl::Status CopyDirectory(int from, int to, const std::string& path,
                             int depth) {
    if (depth > kMaxTreeDepth) {
      return absl::ResourceExhaustedError(
          absl::StrCat(Quoted(path), ": more than ", kMaxTreeDepth,
                       " directories within each other"));
    }
    VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            NamesIn(from));
    for (const std::string& name : names) {
      const std::string below =
          path.empty() ? name : absl::StrCat(path, "/", name);
      VMSILO_RETURN_IF_ERROR(CopyEntry(from, to, name, below, depth));
    }
    // The attributes come last: a mode may forbid writing, and writing changes
    // the times.
    struct stat info = {};
    if (fstat(from, &info) != 0) return Failed("look at", path);
    return CopyAttributes(from, to, info, info.st_mode & 07777, path);
  }

 private:
  absl::Status Failed(absl::string_view what, const std::string& path) const {
    return ErrnoStatus(absl::StrCat(what, " ", Quoted(path)));
  }

  absl::Status CopyEntry(int from, int to, const std::string& name,
                         const std::string& path, int depth) {
    struct stat info = {};
    if (fstatat(from, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      // Removed while we were reading.
      return errno == ENOENT ? absl::OkStatus() : Failed("look at", path);
    }
    switch (info.st_mode & S_IFMT) {
      case S_IFDIR:
        return CopySubdirectory(from, to, name, path, depth);
      case S_IFREG:
        return CopyFile(from, to, name, path);
      case S_IFLNK:
        return CopyLink(from, to, name, info, path);
      case S_IFIFO:
        return CopyFifo(to, name, info, path);
      default:
        LOG(WARNING) << "home template: " << Quoted(path)
                     << " is a device or a socket, leaving it out";
        return absl::OkStatus();
    }
  }

  absl::Status CopySubdirectory(int from, int to, const std::string& name,
                                const std::string& path, int depth) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd source(openat(from, name.c_str(), kFlags));
    if (!source.is_valid()) return Failed("open", path);
    if (mkdirat(to, name.c_str(), 0700) != 0) return Failed("make", path);
    const UniqueFd target(openat(to, name.c_str(), kFlags));
    if (!target.is_valid()) return Failed("open the copy of", path);
    return CopyDirectory(source.get(), target.get(), path, depth + 1);
  }

  absl::Status CopyFile(int from, int to, const std::string& name,
                        const std::string& path) {
    // Non-blocking: it may have become a pipe since we looked.
    const UniqueFd source(openat(
        from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info = {};
    if (!source.is_valid() || fstat(source.get(), &info) != 0) {
      return Failed("open", path);
    }
    if (!S_ISREG(info.st_mode)) {
      return absl::AbortedError(
          absl::StrCat(Quoted(path), " changed while it was copied"));
    }
    if (info.st_nlink > 1) {
      if (info.st_uid != template_owner_ && info.st_uid != owner_.uid) {
        LOG(WARNING) << "home template: " << Quoted(path)
                     << " is another name of a file of user " << info.st_uid
                     << ", leaving it out";
        return absl::OkStatus();
      }
      const auto known = links_.find({info.st_dev, info.st_ino});
      if (known != links_.end()) {
        if (linkat(to_root_, known->second.c_str(), to, name.c_str(), 0) == 0) {
          return absl::OkStatus();
        }
        return Failed("link", path);
      }
      links_[{info.st_dev, info.st_ino}] = path;
    }
    const UniqueFd target(
        openat(to, name.c_str(),
               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!target.is_valid()) return Failed("make", path);
    VMSILO_RETURN_IF_ERROR(CopyContent(source.get(), target.get(), info, path));
    return CopyAttributes(source.get(), target.get(), info, info.st_mode & 0777,
                          path);
  }

  absl::Status CopyContent(int from, int to, const struct stat& info,
                           const std::string& path) {
    if (info.st_size == 0 || ioctl(to, FICLONE, from) == 0) {
      return absl::OkStatus();
    }
    // Piece by piece, from one hole to the next.
    off_t position = 0;
    while (position < info.st_size) {
      off_t data = lseek(from, position, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // nothing but a hole is left
      if (data < 0) data = position;          // no notion of holes here
      off_t end = lseek(from, data, SEEK_HOLE);
      if (end < 0) end = info.st_size;
      VMSILO_RETURN_IF_ERROR(CopyRange(from, to, data, end, path));
      position = end;
    }
    if (ftruncate(to, info.st_size) != 0) return Failed("write", path);
    return absl::OkStatus();
  }

  absl::Status CopyRange(int from, int to, off_t begin, off_t end,
                         const std::string& path) {
    off_t read_at = begin;
    off_t write_at = begin;
    while (read_at < end) {
      const ssize_t n = copy_file_range(from, &read_at, to, &write_at,
                                        static_cast<size_t>(end - read_at), 0);
      if (n == 0) return absl::OkStatus();  // it has become shorter
      if (n > 0 || errno == EINTR) continue;
      if (errno == ENOSPC || errno == EDQUOT || errno == EIO) {
        return Failed("write", path);
      }
      return CopyThroughMemory(from, to, read_at, end, path);
    }
    return absl::OkStatus();
  }

  // For two file systems between which the kernel does not copy.
  absl::Status CopyThroughMemory(int from, int to, off_t begin, off_t end,
                                 const std::string& path) {
    std::vector<char> buffer(kCopyBytes);
    if (lseek(to, begin, SEEK_SET) < 0) return Failed("write", path);
    while (begin < end) {
      const ssize_t n = pread(from, buffer.data(), buffer.size(), begin);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("read", path);
      if (n == 0) break;
      VMSILO_RETURN_IF_ERROR(Annotate(
          WriteAll(to,
                   absl::string_view(buffer.data(), static_cast<size_t>(n))),
          Quoted(path)));
      begin += n;
    }
    return absl::OkStatus();
  }

  absl::Status CopyLink(int from, int to, const std::string& name,
                        const struct stat& info, const std::string& path) {
    std::array<char, PATH_MAX> target;
    const ssize_t n =
        readlinkat(from, name.c_str(), target.data(), target.size());
    if (n < 0 || static_cast<size_t>(n) == target.size()) {
      return Failed("read link", path);
    }
    const std::string text(target.data(), static_cast<size_t>(n));
    if (symlinkat(text.c_str(), to, name.c_str()) != 0) {
      return Failed("make link", path);
    }
    return SetOwnerAndTimes(to, name, info, path);
  }

  absl::Status CopyFifo(int to, const std::string& name,
                        const struct stat& info, const std::string& path) {
    if (mkfifoat(to, name.c_str(), 0600) != 0) return Failed("make", path);
    VMSILO_RETURN_IF_ERROR(SetOwnerAndTimes(to, name, info, path));
    if (fchmodat(to, name.c_str(), info.st_mode & 0777, 0) != 0) {
      return Failed("set the mode of", path);
    }
    return absl::OkStatus();
  }

  absl::Status SetOwnerAndTimes(int to, const std::string& name,
                                const struct stat& info,
                                const std::string& path) {
    if (fchownat(to, name.c_str(), owner_.uid, owner_.gid,
                 AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed("give away", path);
    }
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (utimensat(to, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed("set the times of", path);
    }
    return absl::OkStatus();
  }

  absl::Status CopyAttributes(int from, int to, const struct stat& info,
                              mode_t mode, const std::string& path) {
    // In this order: changing the owner drops bits of the mode, and the mode
    // is part of an access list.
    if (fchown(to, owner_.uid, owner_.gid) != 0) {
      return Failed("give away", path);
    }
    VMSILO_RETURN_IF_ERROR(CopyXattrs(from, to, path));
    if (fchmod(to, mode) != 0) return Failed("set the mode of", path);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (futimens(to, times) != 0) return Failed("set the times of", path);
    return absl::OkStatus();
  }

  absl::Status CopyXattrs(int from, int to, const std::string& path) {
    std::vector<char> list(kMaxXattrBytes);
    const ssize_t n = flistxattr(from, list.data(), list.size());
    if (n < 0) {
      return errno == ENOTSUP ? absl::OkStatus()
                              : Failed("list the attributes of", path);
    }
    std::vector<char> value(kMaxXattrBytes);
    for (ssize_t at = 0; at < n;) {
      const char* name = list.data() + at;
      const absl::string_view text = name;
      at += static_cast<ssize_t>(text.size()) + 1;
      // Others belong to the host's security modules and file systems.
      const bool is_access_list = absl::StartsWith(text, "system.posix_acl_");
      if (!is_access_list && !absl::StartsWith(text, "user.")) continue;
      const ssize_t size = fgetxattr(from, name, value.data(), value.size());
      if (size < 0) return Failed("read an attribute of", path);
      if (fsetxattr(to, name, value.data(), static_cast<size_t>(size), 0) ==
          0) {
        continue;
      }
      if (errno != ENOTSUP) return Failed("set an attribute of", path);
      if (!std::exchange(has_warned_, true)) {
        LOG(WARNING) << "home template: " << Quoted(path) << " has attribute "
                     << text
                     << ", which the home's file system cannot keep, "
                        "going on without";
      }
    }
    return absl::OkStatus();
  }

  int to_root_;
  uid_t template_owner_;
  Owner owner_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
  bool has_warned_ = false;
};

}  // namespace

absl::Status CopyTree(int from, int to, const Owner& owner) {
  struct stat info = {};
  if (fstat(from, &info) != 0) return ErrnoStatus("look at the template");
  return Copier(to, info.st_uid, owner).CopyDirectory(from, to, "", 0);
}

absl::Status RemoveTree(int parent, const char* name) {
  const UniqueFd directory(
      openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.is_valid()) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(absl::StrCat("open ", Quoted(name)));
  }
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          NamesIn(directory.get()));
  for (const std::string& entry : names) {
    if (unlinkat(directory.get(), entry.c_str(), 0) == 0 || errno == ENOENT) {
      continue;
    }
    if (errno != EISDIR && errno != EPERM) {
      return ErrnoStatus(absl::StrCat("remove ", Quoted(entry)));
    }
    VMSILO_RETURN_IF_ERROR(RemoveTree(directory.get(), entry.c_str()));
  }
  if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove ", Quoted(name)));
  }
  return absl::OkStatus();
}

}  // namespace vmsilo::prepare
