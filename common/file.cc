#include "common/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo {
namespace {

// Grows with what is there, so that a generous `max` costs nothing.
constexpr size_t kFirstReadBytes = 4096;

absl::StatusOr<UniqueFd> OpenAt2(int dirfd, const std::string& path, int flags,
                                 mode_t mode, uint64_t resolve) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = resolve;
  while (true) {
    const long fd =
        syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == ENOSYS) {
      return file_internal::OpenByWalking(dirfd, path, flags, mode);
    }
    return ErrnoStatus(absl::StrCat("open ", Quoted(path)));
  }
}

// The next component of `*rest`, which it is taken from; "" at the end.
absl::string_view NextComponent(absl::string_view* rest) {
  while (!rest->empty() && rest->front() == '/') rest->remove_prefix(1);
  const absl::string_view component = rest->substr(0, rest->find('/'));
  rest->remove_prefix(component.size());
  while (!rest->empty() && rest->front() == '/') rest->remove_prefix(1);
  return component;
}

bool IsLink(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 && S_ISLNK(info.st_mode);
}

}  // namespace

namespace file_internal {

absl::StatusOr<UniqueFd> OpenByWalking(int dirfd, const std::string& path,
                                       int flags, mode_t mode) {
  const std::string what = absl::StrCat("open ", Quoted(path));
  absl::string_view rest = path;
  UniqueFd held;
  int directory = dirfd;
  if (absl::StartsWith(path, "/")) {
    // AT_FDCWD stands for a path that may be absolute.
    if (dirfd != AT_FDCWD) return ErrnoStatus(EXDEV, what);
    VMSILO_ASSIGN_OR_RETURN(held, Open("/", O_PATH | O_DIRECTORY));
    directory = held.get();
  }
  while (true) {
    std::string component(NextComponent(&rest));
    if (component == "..") return ErrnoStatus(EXDEV, what);
    // Not `= "."`: GCC 12 then warns about an overlap that cannot be.
    if (component.empty()) component.push_back('.');
    const bool is_last = rest.empty();
    const int how = is_last ? flags : O_PATH;
    const int fd = openat(directory, component.c_str(),
                          how | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(what);
    }
    UniqueFd opened(fd);
    // With O_PATH a link itself is opened.
    if (IsLink(opened.get())) return ErrnoStatus(ELOOP, what);
    if (is_last) return opened;
    held = std::move(opened);
    directory = held.get();
  }
}

}  // namespace file_internal

PathParts SplitPath(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) {
    return {.directory = ".", .name = std::string(path)};
  }
  return {.directory = slash == 0 ? "/" : std::string(path.substr(0, slash)),
          .name = std::string(path.substr(slash + 1))};
}

absl::StatusOr<UniqueFd> OpenAt(int dirfd, const std::string& path, int flags,
                                mode_t mode) {
  while (true) {
    const int fd = openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return ErrnoStatus(absl::StrCat("open ", Quoted(path)));
  }
}

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags, mode_t mode) {
  return OpenAt(AT_FDCWD, path, flags, mode);
}

absl::StatusOr<UniqueFd> OpenBeneath(int dirfd, const std::string& path,
                                     int flags, mode_t mode) {
  return OpenAt2(dirfd, path, flags, mode,
                 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

absl::StatusOr<UniqueFd> OpenNoSymlinks(const std::string& path, int flags,
                                        mode_t mode) {
  return OpenAt2(AT_FDCWD, path, flags, mode,
                 RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

absl::StatusOr<std::string> ReadAll(int fd, size_t max) {
  std::string out;
  size_t used = 0;
  while (true) {
    // One byte past the limit tells a file that is too long from one that
    // just fits.
    out.resize(std::min(std::max(kFirstReadBytes, used * 2), max + 1));
    const ssize_t got = read(fd, out.data() + used, out.size() - used);
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("read");
    }
    used += static_cast<size_t>(got);
    if (used > max) {
      return absl::ResourceExhaustedError(
          absl::StrCat("longer than ", max, " bytes"));
    }
    if (got == 0) {
      out.resize(used);
      return out;
    }
  }
}

absl::StatusOr<std::string> ReadFileAt(int dirfd, const std::string& path,
                                       size_t max) {
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd fd, OpenAt(dirfd, path, O_RDONLY));
  absl::StatusOr<std::string> content = ReadAll(fd.get(), max);
  if (!content.ok()) return Annotate(content.status(), Quoted(path));
  return content;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max) {
  return ReadFileAt(AT_FDCWD, path, max);
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("write");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view content, mode_t mode,
                                 Durability durability) {
  const auto [directory, name] = SplitPath(path);
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd dirfd,
                          Open(directory, O_RDONLY | O_DIRECTORY));

  // The process id keeps two writers apart; a leftover of an earlier process
  // with this id is nobody's any more.
  const std::string temporary = absl::StrCat(".", name, ".", getpid(), ".new");
  if (unlinkat(dirfd.get(), temporary.c_str(), 0) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove ", Quoted(temporary)));
  }
  VMSILO_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenAt(dirfd.get(), temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
             0600));
  auto remove = absl::MakeCleanup([&dirfd, &temporary] {
    // Nothing more can be done about a file that cannot be removed.
    (void)unlinkat(dirfd.get(), temporary.c_str(), 0);
  });

  absl::Status status = WriteAll(fd.get(), content);
  if (!status.ok()) return Annotate(status, Quoted(path));
  if (fchmod(fd.get(), mode) != 0) {
    return ErrnoStatus(absl::StrCat("chmod ", Quoted(path)));
  }
  const bool is_lasting = durability == Durability::kLasting;
  if (is_lasting && fsync(fd.get()) != 0) {
    return ErrnoStatus(absl::StrCat("fsync ", Quoted(path)));
  }
  if (renameat(dirfd.get(), temporary.c_str(), dirfd.get(), name.c_str()) !=
      0) {
    return ErrnoStatus(absl::StrCat("rename to ", Quoted(path)));
  }
  std::move(remove).Cancel();
  if (is_lasting && fsync(dirfd.get()) != 0) {
    return ErrnoStatus(absl::StrCat("fsync ", Quoted(directory)));
  }
  return absl::OkStatus();
}

}  // namespace vmsilo
