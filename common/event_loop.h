#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vmsilo {

// One registration with an EventLoop; destroying it removes the registration,
// also from inside its own handler. It must go before the descriptor that it
// watches and before the loop, so declare descriptors first and sources last.
class Source {
 public:
  // What a back end keeps for a source.
  class Impl {
   public:
    virtual ~Impl() = default;
    virtual absl::Status SetEvents(uint32_t events) = 0;
    virtual absl::Status SetTimer(absl::Duration after) = 0;
  };

  Source() = default;
  explicit Source(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

  bool is_active() const { return impl_ != nullptr; }
  void Reset() { impl_.reset(); }

  // For AddIo() sources: the events of interest from now on; 0 for none.
  absl::Status SetEvents(uint32_t events) { return impl_->SetEvents(events); }

  // For AddTimer() sources: fires once more, `after` from now.
  absl::Status SetTimer(absl::Duration after) { return impl_->SetTimer(after); }

 private:
  std::unique_ptr<Impl> impl_;
};

// Waits for descriptors, timers and signals in one thread. Programs create
// an SdEventLoop (sd_event_loop.h), or where libsystemd cannot be linked an
// EpollEventLoop (epoll_event_loop.h); everything else takes an EventLoop*.
//
// A handler that returns an error ends the loop with it, so a handler first
// turns a peer's fault into a closed connection.
class EventLoop {
 public:
  using IoHandler = std::function<absl::Status(uint32_t events)>;
  using Handler = std::function<absl::Status()>;

  virtual ~EventLoop() = default;

  // Calls `handler` with what of `events` (EPOLLIN, EPOLLOUT …; EPOLLHUP and
  // EPOLLERR always) has come, again and again while it holds. The descriptor
  // is borrowed. A pidfd becomes readable when its process ends.
  virtual absl::StatusOr<Source> AddIo(int fd, uint32_t events,
                                       IoHandler handler) = 0;

  // Calls `handler` once, `after` from now. Timers may come late by a
  // sixteenth of their time and never early, so that a machine can sleep.
  virtual absl::StatusOr<Source> AddTimer(absl::Duration after,
                                          Handler handler) = 0;

  // Blocks `signo` for the process and calls `handler` when it arrives.
  virtual absl::StatusOr<Source> AddSignal(int signo, Handler handler) = 0;

  // Waits up to `timeout` for one event and handles it.
  virtual absl::Status RunOnce(absl::Duration timeout) = 0;

  // Handles events until Quit(), SIGTERM or SIGINT, which end it with OK, or
  // a handler's error. `on_start` is called as soon as it heeds signals: the
  // moment to say that one is ready.
  absl::Status Run(const std::function<void()>& on_start = nullptr);

  // Makes Run() return after the handler that is running.
  void Quit() { is_done_ = true; }

 private:
  bool is_done_ = false;
};

}  // namespace vmsilo
