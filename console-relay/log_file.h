#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {

// A log holds one file that grows and some that do not any more.
inline constexpr int kMaxOldLogs = 100;

// What a guest has written, in a file that is rotated: FILE, FILE.1 (the one
// before), FILE.2 …. The bytes are stored as they are, whoever shows them has
// to escape them. With timestamps, a line begins with its time in brackets.
class LogFile {
 public:
  struct Options {
    std::string path;
    Bytes max_size = MiB(10);  // of each file
    int old_files = 4;
    bool has_timestamps = false;
  };

  // Touches no file yet. InvalidArgument if the path is none of a file.
  static absl::StatusOr<LogFile> Create(Options options);

  // Opens the file or makes it, mode 0600, unless it is open and still has its
  // name. Links are not followed.
  absl::Status OpenIfNeeded();

  // Bytes in the current file.
  uint64_t size() const { return size_; }

  // Whether the file has the guest's bytes and nothing else.
  bool is_exact() const { return !options_.has_timestamps; }

  // Begins a new file if the current one has its size. After an error the next
  // call tries again. Like those below, for a file that is open.
  absl::Status RotateIfFull();

  // Appends what the current file can take of `bytes`; how many of them. An
  // error says why none could be written.
  absl::StatusOr<size_t> Write(absl::string_view bytes, absl::Time now);

  // Says in a line of its own that so many bytes are missing here; not in a log
  // that is exact.
  absl::Status MarkGap(uint64_t bytes, absl::Time now);

 private:
  explicit LogFile(Options options) : options_(std::move(options)) {}

  absl::Status OpenFile();
  absl::StatusOr<size_t> Append(absl::string_view bytes);

  Options options_;
  std::string directory_path_;
  UniqueFd directory_;
  std::string name_;
  UniqueFd fd_;
  uint64_t size_ = 0;
  bool is_inside_line_ = false;
};

}  // namespace vmsilo::console_relay
