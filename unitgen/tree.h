#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// What a path of a tree holds.
struct Node {
  enum class Kind { kRegular, kSymlink, kDirectory, kOther };

  Kind kind = Kind::kOther;
  // A regular file's bytes, or what a symbolic link points to. A file larger
  // than kMaxInstalledFile is kOther: nothing that we make is that large.
  std::string content;
  mode_t mode = 0;

  friend bool operator==(const Node&, const Node&) = default;
};

// A unit has a page or two; the longest file is the manifest, with about
// 300 bytes for each installed file.
inline constexpr size_t kMaxInstalledFile = size_t{16} << 20;

// A directory tree that files are installed into, in steps that can each be
// the last one before a power cut. Paths are relative to the tree's root and
// contain neither "." nor ".."; no step follows a symbolic link.
//
// Errors name the path and have the code that errno stands for (NotFound where
// a directory on the way is missing, ResourceExhausted for a full disk, ...);
// FailedPrecondition where something on the way is a symbolic link or not a
// directory.
class Tree {
 public:
  virtual ~Tree() = default;

  // nullopt where nothing is, also because a directory on the way is missing.
  virtual absl::StatusOr<std::optional<Node>> Look(absl::string_view path) = 0;

  // Makes one directory, mode 0755; OK if it exists.
  virtual absl::Status MakeDirectory(absl::string_view path) = 0;

  // Writes `file` to a temporary name beside `path`, in place of what an
  // interrupted run left there.
  virtual absl::Status Stage(absl::string_view path, const File& file) = 0;

  // Gives a staged file its name at one stroke. AlreadyExists, and nothing is
  // touched, if the name is taken and `replace` is false.
  virtual absl::Status Commit(absl::string_view path, bool replace) = 0;

  // Removes the temporary file of `path`; OK if there is none.
  virtual absl::Status Discard(absl::string_view path) = 0;

  // Removes a file or symbolic link; OK if there is none.
  virtual absl::Status Remove(absl::string_view path) = 0;

  // Removes a directory if it is empty; OK if it is not, or not there.
  virtual absl::Status RemoveDirectory(absl::string_view path) = 0;

  // Returns when everything so far is on the disk.
  virtual absl::Status Sync() = 0;
};

// The name, in the same directory, under which a file is staged. systemd,
// tmpfiles and polkit overlook names that begin with a dot.
std::string StagedName(absl::string_view name);

// The tree below a directory of the file system.
class DirectoryTree : public Tree {
 public:
  // `root` itself may be reached through symbolic links.
  static absl::StatusOr<std::unique_ptr<DirectoryTree>> Open(
      const std::string& root);

  absl::StatusOr<std::optional<Node>> Look(absl::string_view path) override;
  absl::Status MakeDirectory(absl::string_view path) override;
  absl::Status Stage(absl::string_view path, const File& file) override;
  absl::Status Commit(absl::string_view path, bool replace) override;
  absl::Status Discard(absl::string_view path) override;
  absl::Status Remove(absl::string_view path) override;
  absl::Status RemoveDirectory(absl::string_view path) override;
  absl::Status Sync() override;

  // Keeps other runs out until the tree is destroyed: an exclusive lock on
  // the directory `path`, which must exist. Unavailable if another process
  // has it.
  absl::Status Lock(absl::string_view path);

  // `path` as a person would type it, for messages.
  std::string Shown(absl::string_view path) const;

 private:
  DirectoryTree(std::string root, UniqueFd fd)
      : root_(std::move(root)), fd_(std::move(fd)) {}

  // The directory that holds `path`, and the last component of `path`.
  struct Parent {
    int fd = -1;
    std::string name;
  };
  absl::StatusOr<Parent> OpenParent(absl::string_view path);
  absl::StatusOr<UniqueFd> OpenDirectory(absl::string_view path) const;
  // errno as a status that names `path`.
  absl::Status Failed(absl::string_view what, absl::string_view path) const;

  std::string root_;
  UniqueFd fd_;
  UniqueFd lock_;
  // Directories by path, since files come directory by directory. Emptied
  // when it is large: each silo has directories of its own.
  std::map<std::string, UniqueFd> directories_;
  // A directory of each file system that has been written to.
  std::map<dev_t, UniqueFd> file_systems_;
};

}  // namespace vmsilo::unitgen
