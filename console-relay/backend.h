#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {

using OnGuest = std::function<absl::Status(UniqueFd guest)>;

// Takes the connections of hypervisors that connect to us (crosvm, QEMU).
class BackendListener {
 public:
  // `listener` is a listening, non-blocking Unix stream socket.
  BackendListener(EventLoop* loop, UniqueFd listener, OnGuest on_guest)
      : loop_(loop),
        listener_(std::move(listener)),
        on_guest_(std::move(on_guest)) {}

  absl::Status Start();

 private:
  absl::Status OnConnection();

  EventLoop* loop_;
  UniqueFd listener_;
  OnGuest on_guest_;
  // It could not take a connection, and has said so.
  bool is_short_ = false;
  Source pause_;
  Source source_;
};

// Connects to a hypervisor that listens (QEMU, Cloud Hypervisor): as soon as
// its socket is there, again and again. The directories above may come and go
// and be closed to us, so that nothing tells when; while a guest is wanted, we
// ask.
class BackendConnector {
 public:
  BackendConnector(EventLoop* loop, std::string path, OnGuest on_guest)
      : loop_(loop), path_(std::move(path)), on_guest_(std::move(on_guest)) {}

  // Connects, now or as soon as that works. To be called again when the
  // connection has ended.
  absl::Status Connect();

 private:
  EventLoop* loop_;
  std::string path_;
  OnGuest on_guest_;
  int tries_ = 0;  // that failed, as far as it matters
  Source retry_;
};

}  // namespace vmsilo::console_relay
