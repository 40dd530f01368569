#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo {

// An EventLoop on epoll, timerfd and signalfd alone, for programs that are
// linked statically: libsystemd exists as a shared library only.
class EpollEventLoop final : public EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<EpollEventLoop>> Create();

  absl::StatusOr<Source> AddIo(int fd, uint32_t events,
                               IoHandler handler) override;
  absl::StatusOr<Source> AddTimer(absl::Duration after,
                                  Handler handler) override;
  absl::StatusOr<Source> AddSignal(int signo, Handler handler) override;
  absl::Status RunOnce(absl::Duration timeout) override;

 private:
  struct State;
  class SourceImpl;

  explicit EpollEventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}

  absl::StatusOr<Source> Add(int fd, UniqueFd owned, uint32_t events,
                             IoHandler handler);

  UniqueFd epoll_;
};

}  // namespace vmsilo
