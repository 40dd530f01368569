#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo {

// Takes the connections of a listening socket, one after the other. When the
// system is out of descriptors or memory, a connection waits: that is tried
// again every second, and said once until one has been taken.
class Acceptor {
 public:
  using OnConnection = std::function<absl::Status(UniqueFd connection)>;

  // `loop` is borrowed. `listener` is a listening, non-blocking socket. `whom`
  // it takes is for the log: "a viewer". `on_connection` gets each connection,
  // non-blocking and close-on-exec; an error that it returns ends the loop.
  Acceptor(EventLoop* loop, UniqueFd listener, absl::string_view whom,
           OnConnection on_connection);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // To be called once.
  absl::Status Start();

  // Between these, connections wait in the listener's queue.
  absl::Status Pause();
  absl::Status Resume();

 private:
  absl::Status TakeOne();

  EventLoop* loop_;
  UniqueFd listener_;
  std::string whom_;
  OnConnection on_connection_;
  bool is_paused_ = false;
  // It could not take a connection, and has said so.
  bool is_short_ = false;
  Source retry_;
  Source source_;
};

}  // namespace vmsilo
