#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "console/message.h"

namespace vmsilo::cli {

// Asks a console's relay how it is, without attaching to the console.
class ConsoleQuery {
 public:
  // NotFound or Unavailable when there is no relay, PermissionDenied when it
  // is not ours to ask, DeadlineExceeded when it does not answer, another code
  // when it answers something else.
  using Done = std::function<void(absl::StatusOr<console::Status>)>;

  ConsoleQuery(EventLoop* loop, Done done)
      : loop_(loop), done_(std::move(done)) {}
  ConsoleQuery(const ConsoleQuery&) = delete;
  ConsoleQuery& operator=(const ConsoleQuery&) = delete;

  // `done` is called once, perhaps from here, and `deadline` from now at the
  // latest. An error is the loop's.
  absl::Status Start(const std::string& socket, absl::Duration deadline);

 private:
  absl::Status OnPacket();
  void Finish(absl::StatusOr<console::Status> answer);

  EventLoop* loop_;
  Done done_;
  UniqueFd connection_;
  Source source_;
  Source timer_;
};

}  // namespace vmsilo::cli
