#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace vmsilo {

// A service manager's end of sd_notify, at a path of the file system, with its
// store of descriptors.
class NotifySocket {
 public:
  explicit NotifySocket(std::string path);

  // What goes into NOTIFY_SOCKET.
  const std::string& path() const { return path_; }

  // The next message. A test failure, and nothing, if none comes in time.
  std::string Next();

  // Takes messages up to the first that has `text` in it.
  void WaitFor(absl::string_view text);

  // Takes what has come already: whoever notifies a manager that does not read
  // has to wait.
  void TakeAll();

  // What is to be kept for the next process (FDSTORE=1), by its name.
  const std::map<std::string, UniqueFd>& stored() const { return stored_; }

 private:
  bool IsWaiting(int timeout_ms) const;
  std::string Take();

  std::string path_;
  UniqueFd fd_;
  std::map<std::string, UniqueFd> stored_;
};

}  // namespace vmsilo
