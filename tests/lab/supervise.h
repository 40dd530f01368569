#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace vmsilo::lab {

struct Supervision {
  // The program whose life is the lab's, with its arguments; it and all that
  // it starts must end when it is killed.
  std::vector<std::string> command;
  // Where the sockets of job.h are made before the program starts.
  std::string directory;
  // Its standard output and error go to this file, unless `inherits_terminal`.
  std::string console;
  bool inherits_terminal = false;
  // From the start to the job's end.
  absl::Duration timeout = absl::Minutes(5);
  // Called when the lab reports that it is up.
  std::function<void(absl::Duration boot_time)> on_up = [](absl::Duration) {};
};

// Starts the lab, copies the job's output to this process's own, and returns
// the job's exit status once the lab has ended. DeadlineExceeded after the
// timeout, Unavailable if the lab ends without telling a status, Cancelled by
// SIGTERM, SIGINT or SIGHUP. In each case the command is gone.
absl::StatusOr<int> Supervise(const Supervision& supervision);

}  // namespace vmsilo::lab
