// make_initramfs OUTPUT DEST=SOURCE...: writes an uncompressed newc archive of
// the named files, all executable, with /dev/console and /dev/null and the
// usual mount points. DEST is absolute; one that ends in '/' is a directory
// for SOURCE's own name.

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/status_macros.h"
#include "tests/initramfs/newc.h"

namespace vmsilo::initramfs {
namespace {

// Larger than any program or module that belongs into a first root.
constexpr size_t kMaxFileBytes = 64 << 20;

absl::Status Make(const std::string& output,
                  const std::vector<std::string>& entries) {
  NewcArchive archive;
  // The kernel opens it for init before anything is mounted.
  archive.AddCharacterDevice("dev/console", 0600, 5, 1);
  archive.AddCharacterDevice("dev/null", 0666, 1, 3);
  for (const char* directory : {"proc", "sys", "run", "tmp", "root"}) {
    archive.AddDirectory(directory, 0755);
  }
  for (const std::string& entry : entries) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    std::string path = parts.first;
    const std::string& source = parts.second;
    if (!absl::StartsWith(path, "/") || source.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", entry, "' is not of the form /DEST=SOURCE"));
    }
    if (absl::EndsWith(path, "/")) {
      absl::StrAppend(&path, source.substr(source.rfind('/') + 1));
    }
    VMSILO_ASSIGN_OR_RETURN(const std::string content,
                            ReadFile(source, kMaxFileBytes));
    archive.AddFile(absl::string_view(path).substr(1), 0755, content);
  }
  return WriteFileAtomically(output, std::move(archive).Finish(), 0644);
}

}  // namespace
}  // namespace vmsilo::initramfs

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: make_initramfs OUTPUT DEST=SOURCE...\n";
    return vmsilo::kExitUsage;
  }
  const absl::Status status = vmsilo::initramfs::Make(
      argv[1], std::vector<std::string>(argv + 2, argv + argc));
  if (!status.ok()) {
    std::cerr << "make_initramfs: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
