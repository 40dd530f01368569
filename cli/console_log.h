#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/local_stream.h"
#include "cli/terminal_filter.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::cli {

// The files of a console's log, from the oldest to the one that grows: FILE.N,
// …, FILE.1, FILE. They may be rotated while they are read: nothing is read
// twice, and what is rotated away unread is noticed. Memory is bounded, as
// nothing of a file is kept but its descriptor.
class ConsoleLogFiles {
 public:
  // NotFound if there is no log. Links are not followed.
  static absl::StatusOr<ConsoleLogFiles> Open(const std::string& path);

  // The next bytes, at most `size`; 0 when there are no more now. Later, there
  // may be again.
  absl::StatusOr<size_t> Read(char* bytes, size_t size);

  // Whether a file disappeared before it was read, or a part of one; and not
  // again until it happens again.
  bool TakeGap();

  // Becomes readable when there may be more.
  absl::StatusOr<UniqueFd> Watch() const;

 private:
  explicit ConsoleLogFiles(UniqueFd directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}

  // Opens what is newer than the last file that is open.
  absl::Status OpenNewer();
  // Whether the file that grows is another one by now.
  bool IsRotated() const;

  UniqueFd directory_;
  std::string name_;
  std::deque<UniqueFd> files_;  // the first is the one that is being read
  // Nothing is written any more to the one that is being read.
  bool is_complete_ = false;
  bool has_gap_ = false;
};

struct ConsoleLogOptions {
  std::string path;
  bool filter = true;   // what could harm a terminal
  bool follow = false;  // go on with what comes
};

// Writes a console's log to `out`. OK at its end, or when nobody reads any
// more. The status of a signal that ended it is Cancelled, without a message.
absl::Status ShowConsoleLog(const ConsoleLogOptions& options, EventLoop* loop,
                            int out);

}  // namespace vmsilo::cli
