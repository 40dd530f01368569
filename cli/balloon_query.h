#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::cli {

// Asks the memory daemon.
class BalloonQuery {
 public:
  // An answer, or why there is none: Unavailable when the daemon does not
  // run, PermissionDenied when it is not ours to ask,
  // DeadlineExceeded when it does not answer, another code when it says so or
  // says something else.
  using OnAnswer = std::function<void(absl::StatusOr<balloon::Answer>)>;

  BalloonQuery(EventLoop* loop, OnAnswer on_answer)
      : loop_(loop), on_answer_(std::move(on_answer)) {}
  BalloonQuery(const BalloonQuery&) = delete;
  BalloonQuery& operator=(const BalloonQuery&) = delete;

  // `on_answer` is called once, perhaps from here, and `deadline` from now at
  // the latest; after a WatchRequest again and again, until it gets an error.
  // An error returned is the loop's.
  absl::Status Start(const std::string& socket, const balloon::Request& request,
                     absl::Duration deadline);

 private:
  absl::Status OnReadable();
  void OnLine(const std::string& line);
  void Finish(absl::StatusOr<balloon::Answer> answer);

  EventLoop* loop_;
  OnAnswer on_answer_;
  bool is_watch_ = false;
  UniqueFd connection_;
  std::string received_;
  Source source_;
  Source timer_;
};

}  // namespace vmsilo::cli
