#include "common/epoll_event_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo {
namespace {

itimerspec OneShot(absl::Duration after) {
  itimerspec spec = {};
  // All zeros would disarm the timer instead of letting it fire at once.
  spec.it_value = absl::ToTimespec(std::max(after, absl::Nanoseconds(1)));
  return spec;
}

}  // namespace

// Shared with a running handler, so that the handler may destroy its source.
struct EpollEventLoop::State {
  int fd;
  IoHandler handler;
};

class EpollEventLoop::SourceImpl final : public Source::Impl {
 public:
  SourceImpl(int epoll, int fd, UniqueFd owned, IoHandler handler)
      : epoll_(epoll),
        owned_(std::move(owned)),
        state_(std::make_shared<State>(State{fd, std::move(handler)})) {}

  ~SourceImpl() override {
    // Not there any more when its descriptor was closed first.
    (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, state_->fd, nullptr);
  }

  absl::Status Control(int operation, uint32_t events) {
    epoll_event event = {};
    event.events = events;
    event.data.ptr = this;
    if (epoll_ctl(epoll_, operation, state_->fd, &event) != 0) {
      return ErrnoStatus("watch a descriptor");
    }
    return absl::OkStatus();
  }

  absl::Status SetEvents(uint32_t events) override {
    return Control(EPOLL_CTL_MOD, events);
  }

  absl::Status SetTimer(absl::Duration after) override {
    const itimerspec spec = OneShot(after);
    if (timerfd_settime(state_->fd, 0, &spec, nullptr) != 0) {
      return ErrnoStatus("set a timer");
    }
    return absl::OkStatus();
  }

  absl::Status Call(uint32_t events) {
    const std::shared_ptr<State> state = state_;
    return state->handler(events);
  }

 private:
  int epoll_;
  UniqueFd owned_;  // a timerfd or signalfd
  std::shared_ptr<State> state_;
};

absl::StatusOr<std::unique_ptr<EpollEventLoop>> EpollEventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_valid()) return ErrnoStatus("create an event loop");
  return std::unique_ptr<EpollEventLoop>(new EpollEventLoop(std::move(epoll)));
}

absl::StatusOr<Source> EpollEventLoop::Add(int fd, UniqueFd owned,
                                           uint32_t events, IoHandler handler) {
  auto impl = std::make_unique<SourceImpl>(epoll_.get(), fd, std::move(owned),
                                           std::move(handler));
  VMSILO_RETURN_IF_ERROR(impl->Control(EPOLL_CTL_ADD, events));
  return Source(std::move(impl));
}

absl::StatusOr<Source> EpollEventLoop::AddIo(int fd, uint32_t events,
                                             IoHandler handler) {
  return Add(fd, UniqueFd(), events, std::move(handler));
}

absl::StatusOr<Source> EpollEventLoop::AddTimer(absl::Duration after,
                                                Handler handler) {
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer.is_valid()) return ErrnoStatus("create a timer");
  const itimerspec spec = OneShot(after);
  const int fd = timer.get();
  if (timerfd_settime(fd, 0, &spec, nullptr) != 0) {
    return ErrnoStatus("set a timer");
  }
  return Add(fd, std::move(timer), EPOLLIN,
             [fd, handler = std::move(handler)](uint32_t) {
               uint64_t expirations = 0;
               if (read(fd, &expirations, sizeof(expirations)) < 0) {
                 // Set again since it fired: the new time counts.
                 return errno == EAGAIN ? absl::OkStatus()
                                        : ErrnoStatus("read a timer");
               }
               return handler();
             });
}

absl::StatusOr<Source> EpollEventLoop::AddSignal(int signo, Handler handler) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return ErrnoStatus("block a signal");
  }
  UniqueFd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.is_valid()) return ErrnoStatus("watch a signal");
  const int fd = signals.get();
  return Add(fd, std::move(signals), EPOLLIN,
             [fd, handler = std::move(handler)](uint32_t) {
               signalfd_siginfo info = {};
               if (read(fd, &info, sizeof(info)) < 0) {
                 return errno == EAGAIN ? absl::OkStatus()
                                        : ErrnoStatus("read a signal");
               }
               return handler();
             });
}

absl::Status EpollEventLoop::RunOnce(absl::Duration timeout) {
  int wait = -1;
  if (timeout != absl::InfiniteDuration()) {
    wait = static_cast<int>(std::clamp<int64_t>(
        absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1))),
        0, std::numeric_limits<int>::max()));
  }
  // One event a call: its handler may destroy any other source.
  epoll_event event = {};
  const int count = epoll_wait(epoll_.get(), &event, 1, wait);
  if (count < 0) {
    return errno == EINTR ? absl::OkStatus() : ErrnoStatus("wait for events");
  }
  if (count == 0) return absl::OkStatus();
  return static_cast<SourceImpl*>(event.data.ptr)->Call(event.events);
}

}  // namespace vmsilo
