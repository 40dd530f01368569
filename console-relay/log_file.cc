#include "console-relay/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {
namespace {

// With timestamps, what one write() gets, more or less a line: each costs more
// than the bytes of a short line, and the guest decides how many lines it
// sends.
constexpr size_t kBatchBytes = size_t{64} * 1024;

// With its line break, if it has one.
absl::string_view FirstLine(absl::string_view bytes) {
  const size_t line_break = bytes.find('\n');
  return line_break == absl::string_view::npos
             ? bytes
             : bytes.substr(0, line_break + 1);
}

std::string Stamp(absl::Time now) {
  return absl::FormatTime("[%Y-%m-%dT%H:%M:%E3SZ] ", now, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<LogFile> LogFile::Create(Options options) {
  LogFile log(std::move(options));
  PathParts parts = SplitPath(log.options_.path);
  if (parts.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(log.options_.path), " is a directory, not a log file"));
  }
  log.directory_path_ = std::move(parts.directory);
  log.name_ = std::move(parts.name);
  return log;
}

absl::Status LogFile::OpenIfNeeded() {
  struct stat info = {};
  if (fd_.is_valid() && fstat(fd_.get(), &info) == 0 && info.st_nlink > 0) {
    return absl::OkStatus();
  }
  return OpenFile();
}

absl::Status LogFile::OpenFile() {
  // What is written to a file without a name is lost.
  fd_.Reset();
  // The directory as well may have been removed, and made again.
  VMSILO_ASSIGN_OR_RETURN(
      directory_, OpenNoSymlinks(directory_path_, O_PATH | O_DIRECTORY));
  VMSILO_ASSIGN_OR_RETURN(
      UniqueFd fd,
      OpenBeneath(directory_.get(), name_,
                  O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0600));
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(absl::StrCat("examine ", Quoted(options_.path)));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Quoted(options_.path), " is not a regular file"));
  }
  fd_ = std::move(fd);
  size_ = static_cast<uint64_t>(info.st_size);
  // A line that another file began has its time there.
  is_inside_line_ = false;
  return absl::OkStatus();
}

absl::Status LogFile::RotateIfFull() {
  if (size_ < options_.max_size.count()) return absl::OkStatus();
  const int directory = directory_.get();
  if (options_.old_files == 0) {
    if (ftruncate(fd_.get(), 0) != 0) {
      return ErrnoStatus(absl::StrCat("empty ", Quoted(options_.path)));
    }
    size_ = 0;
    return absl::OkStatus();
  }
  for (int number = options_.old_files; number > 0; --number) {
    const std::string newer =
        number == 1 ? name_ : absl::StrCat(name_, ".", number - 1);
    const std::string older = absl::StrCat(name_, ".", number);
    // The first times, there are fewer.
    if (renameat(directory, newer.c_str(), directory, older.c_str()) != 0 &&
        errno != ENOENT) {
      return ErrnoStatus(absl::StrCat("rename ", Quoted(newer)));
    }
  }
  return OpenFile();
}

absl::Status LogFile::MarkGap(uint64_t bytes, absl::Time now) {
  if (is_exact()) return absl::OkStatus();
  const std::string line =
      absl::StrCat(is_inside_line_ ? "\n" : "", Stamp(now), "-- ", bytes,
                   " bytes are missing here --\n");
  VMSILO_ASSIGN_OR_RETURN(const size_t written, Append(line));
  is_inside_line_ = written < line.size();
  return absl::OkStatus();
}

absl::StatusOr<size_t> LogFile::Append(absl::string_view bytes) {
  const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
  if (written <= 0) {
    return ErrnoStatus(absl::StrCat("write ", Quoted(options_.path)));
  }
  size_ += static_cast<uint64_t>(written);
  return static_cast<size_t>(written);
}

absl::StatusOr<size_t> LogFile::Write(absl::string_view bytes, absl::Time now) {
  if (bytes.empty() || size_ >= options_.max_size.count()) return 0;
  if (!options_.has_timestamps) {
    return Append(bytes.substr(0, options_.max_size.count() - size_));
  }
  const std::string stamp = Stamp(now);
  std::string batch;
  absl::string_view rest = bytes;
  for (bool is_inside = is_inside_line_;
       !rest.empty() && batch.size() < kBatchBytes &&
       size_ + batch.size() < options_.max_size.count();
       is_inside = false) {
    const absl::string_view line = FirstLine(rest);
    absl::StrAppend(&batch, is_inside ? "" : stamp, line);
    rest.remove_prefix(line.size());
  }
  VMSILO_ASSIGN_OR_RETURN(size_t left, Append(batch));
  // Which of the bytes are among those that were written.
  rest = bytes;
  while (left > 0) {
    if (!is_inside_line_) {
      if (left < stamp.size()) break;
      left -= stamp.size();
      is_inside_line_ = true;
    }
    const absl::string_view line = FirstLine(rest).substr(0, left);
    left -= line.size();
    rest.remove_prefix(line.size());
    if (absl::EndsWith(line, "\n")) is_inside_line_ = false;
  }
  if (rest.size() == bytes.size()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("write ", Quoted(options_.path), ": only in part"));
  }
  return bytes.size() - rest.size();
}

}  // namespace vmsilo::console_relay
