#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "absl/status/status.h"
#include "common/acceptor.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "proxy/session.h"

namespace vmsilo::proxy {

// More clients than this wait in the listener's queue. A session costs six
// descriptors while it connects and eight while it relays, of the usual 1024.
inline constexpr size_t kMaxSessions = 100;

// Takes connections from a listening socket, each to be carried to the guest.
class Server {
 public:
  Server(EventLoop* loop, UniqueFd listener, Target target);

  absl::Status Start() { return acceptor_.Start(); }

 private:
  absl::Status TakeClient(UniqueFd client);

  EventLoop* loop_;
  Target target_;
  std::list<std::unique_ptr<Session>> sessions_;
  Acceptor acceptor_;
};

}  // namespace vmsilo::proxy
