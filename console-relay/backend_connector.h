#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {

using OnGuest = std::function<absl::Status(UniqueFd guest)>;

// Connects to a hypervisor that listens (QEMU, Cloud Hypervisor): as soon as
// its socket is there, again and again. The directories above may come and go
// and be closed to us, so that nothing tells when; while a guest is wanted, we
// ask.
class BackendConnector {
 public:
  BackendConnector(EventLoop* loop, std::string path, OnGuest on_guest)
      : loop_(loop), path_(std::move(path)), on_guest_(std::move(on_guest)) {}

  // Connects, now or as soon as that works.
  absl::Status Connect();
  // When the connection has ended. Not before a moment has passed: a hypervisor
  // that dies may still listen, and one that hangs up on everybody would keep
  // us busy.
  absl::Status ConnectAgain();

 private:
  absl::Status Wait();

  EventLoop* loop_;
  std::string path_;
  OnGuest on_guest_;
  int tries_ = 0;  // that failed, as far as it matters
  Source retry_;
};

}  // namespace vmsilo::console_relay
