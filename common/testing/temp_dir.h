#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo {

// A directory of the test's own, removed with everything in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

  // The path of `name` in the directory.
  std::string Path(absl::string_view name) const;

  // Creates or replaces a file, and the directories above it.
  std::string Write(absl::string_view name, absl::string_view content) const;

 private:
  std::string path_;
};

}  // namespace vmsilo
