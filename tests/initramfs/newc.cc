#include "tests/initramfs/newc.h"

#include <sys/stat.h>

#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace vmsilo::initramfs {
namespace {

// Headers with their names, and contents, are padded to this.
constexpr size_t kAlignment = 4;

void Pad(std::string& bytes) {
  bytes.resize((bytes.size() + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace

void NewcArchive::AddDirectory(absl::string_view path, mode_t mode) {
  AddParents(path);
  if (directories_.insert(std::string(path)).second) {
    Append(path, Entry{.mode = S_IFDIR | mode}, "");
  }
}

void NewcArchive::AddFile(absl::string_view path, mode_t mode,
                          absl::string_view content) {
  AddParents(path);
  Append(path, Entry{.mode = S_IFREG | mode}, content);
}

void NewcArchive::AddCharacterDevice(absl::string_view path, mode_t mode,
                                     uint32_t major, uint32_t minor) {
  AddParents(path);
  Append(
      path,
      Entry{
          .mode = S_IFCHR | mode, .device_major = major, .device_minor = minor},
      "");
}

std::string NewcArchive::Finish() && {
  inode_ = 0;
  Append("TRAILER!!!", Entry{}, "");
  return std::move(bytes_);
}

void NewcArchive::AddParents(absl::string_view path) {
  for (size_t slash = path.find('/'); slash != absl::string_view::npos;
       slash = path.find('/', slash + 1)) {
    const absl::string_view parent = path.substr(0, slash);
    if (directories_.insert(std::string(parent)).second) {
      Append(parent, Entry{.mode = S_IFDIR | 0755}, "");
    }
  }
}

void NewcArchive::Append(absl::string_view path, const Entry& entry,
                         absl::string_view content) {
  const uint32_t links = S_ISDIR(entry.mode) ? 2 : 1;
  // Magic, inode, mode, owner, group, links, time, size, device of the file
  // system (2), device (2), length of the name with its NUL, checksum.
  absl::StrAppendFormat(
      &bytes_, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
      inode_++, entry.mode, 0, 0, links, 0, content.size(), 0, 0,
      entry.device_major, entry.device_minor, path.size() + 1, 0);
  bytes_.append(path.data(), path.size());
  bytes_.push_back('\0');
  Pad(bytes_);
  bytes_.append(content.data(), content.size());
  Pad(bytes_);
}

}  // namespace vmsilo::initramfs
