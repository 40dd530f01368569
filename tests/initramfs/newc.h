#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo::initramfs {

// A cpio archive of the kind that the kernel unpacks as its first root
// (Linux Documentation/driver-api/early-userspace/buffer-format.rst: "newc").
// The same calls give the same bytes: everything belongs to root and has the
// time 0. Paths are relative, without a leading '/'; missing directories above
// a path are made with mode 0755.
class NewcArchive {
 public:
  void AddDirectory(absl::string_view path, mode_t mode);
  void AddFile(absl::string_view path, mode_t mode, absl::string_view content);
  void AddCharacterDevice(absl::string_view path, mode_t mode, uint32_t major,
                          uint32_t minor);

  // The archive with its trailer. Nothing can be added afterwards.
  std::string Finish() &&;

 private:
  struct Entry {
    uint32_t mode = 0;
    uint32_t device_major = 0;
    uint32_t device_minor = 0;
  };

  void AddParents(absl::string_view path);
  void Append(absl::string_view path, const Entry& entry,
              absl::string_view content);

  std::string bytes_;
  std::set<std::string> directories_;
  uint32_t inode_ = 0;
};

}  // namespace vmsilo::initramfs
