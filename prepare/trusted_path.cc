#include "prepare/trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::prepare {
namespace {

// As many as Linux itself follows (man 7 path_resolution).
constexpr int kMaxLinks = 40;

// Whether only root and we can change what is in the directory.
bool IsTrusted(const struct stat& directory) {
  const bool is_ours = directory.st_uid == 0 || directory.st_uid == geteuid();
  return is_ours && (directory.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

void Push(absl::string_view path, std::deque<std::string>* components) {
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  components->insert(components->begin(), parts.begin(), parts.end());
}

}  // namespace

absl::StatusOr<TrustedPath> OpenTrusted(const std::string& path) {
  if (!absl::StartsWith(path, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(path), " is not an absolute path"));
  }
  const std::string what = absl::StrCat("open ", Quoted(path));
  TrustedPath at;
  const auto start = [&]() -> absl::Status {
    VMSILO_ASSIGN_OR_RETURN(at.fd, Open("/", O_PATH | O_DIRECTORY));
    if (fstat(at.fd.get(), &at.info) != 0) return ErrnoStatus(what);
    return absl::OkStatus();
  };
  VMSILO_RETURN_IF_ERROR(start());
  std::deque<std::string> components;
  Push(path, &components);
  int links = 0;
  while (!components.empty()) {
    const std::string name = std::move(components.front());
    components.pop_front();
    if (!S_ISDIR(at.info.st_mode)) return ErrnoStatus(ENOTDIR, what);
    UniqueFd next(
        openat(at.fd.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next.is_valid()) return ErrnoStatus(what);
    struct stat info = {};
    if (fstat(next.get(), &info) != 0) return ErrnoStatus(what);
    at.is_directory_trusted = IsTrusted(at.info);
    at.directory_owner = at.info.st_uid;
    at.is_fixed = at.is_fixed && at.is_directory_trusted;
    if (!S_ISLNK(info.st_mode)) {
      at.fd = std::move(next);
      at.info = info;
      continue;
    }
    if (!at.is_directory_trusted) {
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": ", Quoted(name),
                       " is a symbolic link that somebody other than root "
                       "could have made"));
    }
    if (++links > kMaxLinks) return ErrnoStatus(ELOOP, what);
    std::array<char, PATH_MAX> target;
    const ssize_t n = readlinkat(next.get(), "", target.data(), target.size());
    if (n < 0) return ErrnoStatus(what);
    const absl::string_view text(target.data(), static_cast<size_t>(n));
    if (absl::StartsWith(text, "/")) VMSILO_RETURN_IF_ERROR(start());
    Push(text, &components);
  }
  return at;
}

absl::StatusOr<UniqueFd> OpenTrustedDirectory(const std::string& path) {
  VMSILO_ASSIGN_OR_RETURN(TrustedPath opened, OpenTrusted(path));
  if (!S_ISDIR(opened.info.st_mode)) {
    return ErrnoStatus(ENOTDIR, absl::StrCat("open ", Quoted(path)));
  }
  return std::move(opened.fd);
}

absl::StatusOr<PathParts> SplitAbsolutePath(const std::string& path) {
  PathParts parts = SplitPath(path);
  if (!absl::StartsWith(path, "/") || parts.name.empty() || parts.name == "." ||
      parts.name == ".." || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(path), " is not the absolute path of a file"));
  }
  return parts;
}

}  // namespace vmsilo::prepare
