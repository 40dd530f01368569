#include "unitgen/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::unitgen {
namespace {

// Longer than any link target: PATH_MAX with its NUL.
constexpr size_t kMaxTarget = 4096;

// Far below the 1024 descriptors that a process may have by default.
constexpr size_t kMaxOpenDirectories = 128;

}  // namespace

std::string StagedName(absl::string_view name) {
  return absl::StrCat(".", name, ".vmsilo-new");
}

absl::StatusOr<std::unique_ptr<DirectoryTree>> DirectoryTree::Open(
    const std::string& root) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd,
                          vmsilo::Open(root, O_PATH | O_DIRECTORY));
  return std::unique_ptr<DirectoryTree>(new DirectoryTree(root, std::move(fd)));
}

std::string DirectoryTree::Shown(absl::string_view path) const {
  return absl::StrCat(root_, root_.back() == '/' ? "" : "/", path);
}

absl::Status DirectoryTree::Failed(absl::string_view what,
                                   absl::string_view path) const {
  return ErrnoStatus(absl::StrCat(what, " ", Quoted(Shown(path))));
}

absl::StatusOr<UniqueFd> DirectoryTree::OpenDirectory(
    absl::string_view path) const {
  absl::StatusOr<UniqueFd> fd =
      OpenBeneath(fd_.get(), std::string(path), O_RDONLY | O_DIRECTORY);
  if (fd.ok() || absl::IsNotFound(fd.status())) return fd;
  // The kernel does not say which component it stopped at.
  for (size_t end = 0; end != absl::string_view::npos;) {
    end = path.find('/', end + 1);
    const absl::string_view prefix = path.substr(0, end);
    struct stat status = {};
    if (fstatat(fd_.get(), std::string(prefix).c_str(), &status,
                AT_SYMLINK_NOFOLLOW) != 0) {
      break;
    }
    if (S_ISLNK(status.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(Quoted(Shown(prefix)),
                       " is a symbolic link, and none is followed here"));
    }
    if (!S_ISDIR(status.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(Quoted(Shown(prefix)), " is not a directory"));
    }
  }
  return fd;
}

absl::StatusOr<DirectoryTree::Parent> DirectoryTree::OpenParent(
    absl::string_view path) {
  const size_t slash = path.rfind('/');
  Parent parent;
  if (slash == absl::string_view::npos) {
    parent.fd = fd_.get();
    parent.name = std::string(path);
    return parent;
  }
  parent.name = std::string(path.substr(slash + 1));
  const absl::string_view directory = path.substr(0, slash);
  auto known = directories_.find(std::string(directory));
  if (known == directories_.end()) {
    if (directories_.size() >= kMaxOpenDirectories) directories_.clear();
    VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(directory));
    struct stat status = {};
    if (fstat(fd.get(), &status) != 0) return Failed("stat", directory);
    UniqueFd& file_system = file_systems_[status.st_dev];
    if (!file_system.is_valid()) {
      file_system = UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
      if (!file_system.is_valid()) return Failed("duplicate", directory);
    }
    known = directories_.emplace(std::string(directory), std::move(fd)).first;
  }
  parent.fd = known->second.get();
  return parent;
}

absl::StatusOr<std::optional<Node>> DirectoryTree::Look(
    absl::string_view path) {
  absl::StatusOr<Parent> parent = OpenParent(path);
  if (absl::IsNotFound(parent.status())) return std::optional<Node>();
  VMSILO_RETURN_IF_ERROR(parent.status());

  // O_PATH tells what it is without opening it: a FIFO would block, a device
  // might act.
  UniqueFd found(openat(parent->fd, parent->name.c_str(),
                        O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!found.is_valid()) {
    if (errno == ENOENT) return std::optional<Node>();
    return Failed("open", path);
  }
  struct stat status = {};
  if (fstat(found.get(), &status) != 0) return Failed("stat", path);

  Node node;
  node.mode = status.st_mode & 07777;
  if (S_ISDIR(status.st_mode)) {
    node.kind = Node::Kind::kDirectory;
  } else if (S_ISLNK(status.st_mode)) {
    node.content.resize(kMaxTarget);
    const ssize_t size =
        readlinkat(found.get(), "", node.content.data(), kMaxTarget);
    if (size < 0) return Failed("read link", path);
    node.content.resize(static_cast<size_t>(size));
    node.kind = Node::Kind::kSymlink;
  } else if (S_ISREG(status.st_mode)) {
    VMSILO_ASSIGN_OR_RETURN(
        const UniqueFd file,
        OpenBeneath(parent->fd, parent->name, O_RDONLY | O_NONBLOCK));
    absl::StatusOr<std::string> content =
        ReadAll(file.get(), kMaxInstalledFile);
    if (content.ok()) {
      node.kind = Node::Kind::kRegular;
      node.content = *std::move(content);
    } else if (!absl::IsResourceExhausted(content.status())) {
      return Annotate(content.status(), Quoted(Shown(path)));
    }
  }
  return std::optional<Node>(std::move(node));
}

absl::Status DirectoryTree::MakeDirectory(absl::string_view path) {
  VMSILO_ASSIGN_OR_RETURN(const Parent parent, OpenParent(path));
  if (mkdirat(parent.fd, parent.name.c_str(), 0755) == 0) {
    VMSILO_ASSIGN_OR_RETURN(const UniqueFd made, OpenDirectory(path));
    // Whatever the caller's umask is, systemd's and polkit's own users have
    // to read what is in there.
    if (fchmod(made.get(), 0755) != 0) {
      return Failed("set the mode of", path);
    }
    return absl::OkStatus();
  }
  if (errno != EEXIST) return Failed("make directory", path);
  return OpenDirectory(path).status();
}

absl::Status DirectoryTree::Stage(absl::string_view path, const File& file) {
  VMSILO_RETURN_IF_ERROR(Discard(path));
  VMSILO_ASSIGN_OR_RETURN(const Parent parent, OpenParent(path));
  const std::string staged = StagedName(parent.name);
  if (file.kind == File::Kind::kSymlink) {
    if (symlinkat(file.content.c_str(), parent.fd, staged.c_str()) != 0) {
      return Failed("make link", path);
    }
    return absl::OkStatus();
  }
  UniqueFd fd(openat(parent.fd, staged.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     0600));
  if (!fd.is_valid()) return Failed("create", path);
  absl::Status written = WriteAll(fd.get(), file.content);
  if (written.ok() && fchmod(fd.get(), file.mode & 07777) != 0) {
    written = ErrnoStatus("set the mode");
  }
  if (written.ok()) return written;
  // The failure itself is what the caller has to hear of.
  (void)unlinkat(parent.fd, staged.c_str(), 0);
  return Annotate(written, Quoted(Shown(path)));
}

absl::Status DirectoryTree::Commit(absl::string_view path, bool replace) {
  VMSILO_ASSIGN_OR_RETURN(const Parent parent, OpenParent(path));
  const std::string staged = StagedName(parent.name);
  if (renameat2(parent.fd, staged.c_str(), parent.fd, parent.name.c_str(),
                replace ? 0 : RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  if (!replace && (errno == EINVAL || errno == ENOSYS)) {
    // A file system without RENAME_NOREPLACE: a hard link does not replace
    // anything either.
    if (linkat(parent.fd, staged.c_str(), parent.fd, parent.name.c_str(), 0) ==
        0) {
      return Discard(path);
    }
  }
  return Failed("put in place", path);
}

absl::Status DirectoryTree::Discard(absl::string_view path) {
  const absl::StatusOr<Parent> parent = OpenParent(path);
  if (absl::IsNotFound(parent.status())) return absl::OkStatus();
  VMSILO_RETURN_IF_ERROR(parent.status());
  if (unlinkat(parent->fd, StagedName(parent->name).c_str(), 0) != 0 &&
      errno != ENOENT) {
    return Failed("remove the temporary file of", path);
  }
  return absl::OkStatus();
}

absl::Status DirectoryTree::Remove(absl::string_view path) {
  const absl::StatusOr<Parent> parent = OpenParent(path);
  if (absl::IsNotFound(parent.status())) return absl::OkStatus();
  VMSILO_RETURN_IF_ERROR(parent.status());
  if (unlinkat(parent->fd, parent->name.c_str(), 0) != 0 && errno != ENOENT) {
    return Failed("remove", path);
  }
  return absl::OkStatus();
}

absl::Status DirectoryTree::RemoveDirectory(absl::string_view path) {
  const absl::StatusOr<Parent> parent = OpenParent(path);
  if (absl::IsNotFound(parent.status())) return absl::OkStatus();
  VMSILO_RETURN_IF_ERROR(parent.status());
  if (unlinkat(parent->fd, parent->name.c_str(), AT_REMOVEDIR) != 0) {
    // A link in the directory's place is somebody else's, too.
    if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST ||
        errno == ENOTDIR) {
      return absl::OkStatus();
    }
    return Failed("remove directory", path);
  }
  directories_.erase(std::string(path));
  return absl::OkStatus();
}

absl::Status DirectoryTree::Sync() {
  // One flush per file system costs less than an fsync() for each of a
  // thousand small files.
  for (const auto& [device, fd] : file_systems_) {
    if (syncfs(fd.get()) != 0) return Failed("flush the disk of", "");
  }
  return absl::OkStatus();
}

absl::Status DirectoryTree::Lock(absl::string_view path) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, OpenDirectory(path));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::UnavailableError(absl::StrCat(
          "another installation is under way: it holds the lock on ",
          Quoted(Shown(path))));
    }
    return Failed("lock", path);
  }
  lock_ = std::move(fd);
  return absl::OkStatus();
}

}  // namespace vmsilo::unitgen
