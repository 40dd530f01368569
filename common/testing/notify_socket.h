#pragma once

#include <string>

#include "common/unique_fd.h"

namespace vmsilo {

// A service manager's end of sd_notify, at a path of the file system.
class NotifySocket {
 public:
  explicit NotifySocket(std::string path);

  // What goes into NOTIFY_SOCKET.
  const std::string& path() const { return path_; }

  // The next message. A test failure, and nothing, if none comes in time.
  std::string Next();

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace vmsilo
