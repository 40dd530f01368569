#include "prepare/raw_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::prepare {

std::optional<absl::string_view> FormatByHead(absl::string_view head) {
  struct Magic {
    absl::string_view bytes;
    absl::string_view format;
  };
  // What crosvm's disk crate knows, in whatever way it was built. Of zstd's
  // skippable frames the first byte goes from 0x50 to 0x5f.
  constexpr Magic kMagics[] = {
      {"QFI\xfb", "qcow2"},
      {"composite_disk\x1d", "composite"},
      {"\x3a\xff\x26\xed", "Android sparse"},
      {"\x28\xb5\x2f\xfd", "zstd"},
  };
  for (const Magic& magic : kMagics) {
    if (absl::StartsWith(head, magic.bytes)) return magic.format;
  }
  if (!head.empty() && (static_cast<unsigned char>(head[0]) & 0xf0) == 0x50 &&
      absl::StartsWith(head.substr(1), "\x2a\x4d\x18")) {
    return "zstd";
  }
  return std::nullopt;
}

absl::Status CheckRawDisk(const std::string& path) {
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd file,
                          Open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  char head[kDiskHeadBytes];
  const ssize_t size = pread(file.get(), head, sizeof(head), 0);
  if (size < 0) return ErrnoStatus(absl::StrCat("read ", Quoted(path)));
  const std::optional<absl::string_view> format =
      FormatByHead(absl::string_view(head, static_cast<size_t>(size)));
  if (!format.has_value()) return absl::OkStatus();
  return WithExitCode(
      absl::FailedPreconditionError(absl::StrCat(
          "disk ", Quoted(path), " is configured as raw, but begins like a ",
          *format,
          " image, and crosvm goes by that: a guest that wrote it could read "
          "files of the host. If it is one, set the disk's format; if not, "
          "overwrite its first bytes")),
      kExitDataError);
}

}  // namespace vmsilo::prepare
