#include "common/sd_event_loop.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <systemd/sd-event.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/status.h"

namespace vmsilo {
namespace {

// How late a timer may be: a sixteenth of its time, so that short deadlines
// are kept and long ones can share a wake-up; never 0, which sd-event reads
// as its own default of 250 ms.
uint64_t Accuracy(absl::Duration after) {
  return static_cast<uint64_t>(
      std::clamp<int64_t>(absl::ToInt64Microseconds(after / 16), 1, 250'000));
}

uint64_t Microseconds(absl::Duration after) {
  return static_cast<uint64_t>(std::max<int64_t>(
      absl::ToInt64Microseconds(absl::Ceil(after, absl::Microseconds(1))), 0));
}

}  // namespace

// Shared with a running handler, so that the handler may destroy its source.
struct SdEventLoop::State {
  SdEventLoop* loop;
  IoHandler handler;
};

class SdEventLoop::SourceImpl final : public Source::Impl {
 public:
  SourceImpl(SdEventLoop* loop, IoHandler handler)
      : state_(std::make_shared<State>(State{loop, std::move(handler)})) {}

  ~SourceImpl() override { sd_event_source_disable_unref(source_); }

  sd_event_source** source() { return &source_; }

  absl::Status SetEvents(uint32_t events) override {
    const int result = sd_event_source_set_io_events(source_, events);
    return result < 0 ? ErrnoStatus(-result, "change an I/O event source")
                      : absl::OkStatus();
  }

  absl::Status SetTimer(absl::Duration after) override {
    int result =
        sd_event_source_set_time_relative(source_, Microseconds(after));
    if (result >= 0) {
      result = sd_event_source_set_time_accuracy(source_, Accuracy(after));
    }
    if (result >= 0) {
      result = sd_event_source_set_enabled(source_, SD_EVENT_ONESHOT);
    }
    return result < 0 ? ErrnoStatus(-result, "set a timer") : absl::OkStatus();
  }

  static int OnIo(sd_event_source*, int, uint32_t events, void* data) {
    return static_cast<SourceImpl*>(data)->Call(events);
  }
  static int OnTime(sd_event_source*, uint64_t, void* data) {
    return static_cast<SourceImpl*>(data)->Call(0);
  }
  static int OnSignal(sd_event_source*, const signalfd_siginfo*, void* data) {
    return static_cast<SourceImpl*>(data)->Call(0);
  }

 private:
  int Call(uint32_t events) {
    const std::shared_ptr<State> state = state_;
    absl::Status status = state->handler(events);
    if (!status.ok() && state->loop->status_.ok()) {
      state->loop->status_ = std::move(status);
    }
    return 0;
  }

  std::shared_ptr<State> state_;
  sd_event_source* source_ = nullptr;
};

absl::StatusOr<std::unique_ptr<SdEventLoop>> SdEventLoop::Create() {
  sd_event* event = nullptr;
  const int result = sd_event_new(&event);
  if (result < 0) return ErrnoStatus(-result, "create an event loop");
  return std::unique_ptr<SdEventLoop>(new SdEventLoop(event));
}

SdEventLoop::~SdEventLoop() { sd_event_unref(event_); }

absl::StatusOr<Source> SdEventLoop::AddIo(int fd, uint32_t events,
                                          IoHandler handler) {
  auto impl = std::make_unique<SourceImpl>(this, std::move(handler));
  const int result = sd_event_add_io(event_, impl->source(), fd, events,
                                     SourceImpl::OnIo, impl.get());
  if (result < 0) return ErrnoStatus(-result, "watch a descriptor");
  return Source(std::move(impl));
}

absl::StatusOr<Source> SdEventLoop::AddTimer(absl::Duration after,
                                             Handler handler) {
  auto impl = std::make_unique<SourceImpl>(
      this, [handler = std::move(handler)](uint32_t) { return handler(); });
  const int result = sd_event_add_time_relative(
      event_, impl->source(), CLOCK_MONOTONIC, Microseconds(after),
      Accuracy(after), SourceImpl::OnTime, impl.get());
  if (result < 0) return ErrnoStatus(-result, "add a timer");
  return Source(std::move(impl));
}

absl::StatusOr<Source> SdEventLoop::AddSignal(int signo, Handler handler) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return ErrnoStatus("block a signal");
  }
  auto impl = std::make_unique<SourceImpl>(
      this, [handler = std::move(handler)](uint32_t) { return handler(); });
  const int result = sd_event_add_signal(event_, impl->source(), signo,
                                         SourceImpl::OnSignal, impl.get());
  if (result < 0) return ErrnoStatus(-result, "watch a signal");
  return Source(std::move(impl));
}

absl::Status SdEventLoop::RunOnce(absl::Duration timeout) {
  const uint64_t wait =
      timeout == absl::InfiniteDuration() ? UINT64_MAX : Microseconds(timeout);
  const int result = sd_event_run(event_, wait);
  if (result < 0) return ErrnoStatus(-result, "wait for events");
  return std::exchange(status_, absl::OkStatus());
}

}  // namespace vmsilo
