#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/testing/fake_clock.h"

namespace vmsilo {

// An EventLoop on a FakeClock's time, for what is made of timers: nothing
// happens until Advance(). Descriptors are never looked at; a test says what
// comes to them. An error of a handler is a test failure.
class FakeEventLoop final : public EventLoop {
 public:
  explicit FakeEventLoop(FakeClock* clock) : clock_(clock) {}
  ~FakeEventLoop() override;

  // Moves the clock on, and calls the timers that are due on the way, each at
  // its time.
  void Advance(absl::Duration by);

  // What a descriptor's or signal's handler would be called with. False if
  // nobody wants it.
  bool Fire(int fd, uint32_t events);
  bool Raise(int signo);

  // Until the next timer; infinite without one.
  absl::Duration UntilNextTimer() const;
  // How often a timer has fired: the wake-ups.
  size_t wake_ups() const { return wake_ups_; }

  absl::StatusOr<Source> AddIo(int fd, uint32_t events,
                               IoHandler handler) override;
  absl::StatusOr<Source> AddTimer(absl::Duration after,
                                  Handler handler) override;
  absl::StatusOr<Source> AddSignal(int signo, Handler handler) override;
  absl::Status RunOnce(absl::Duration timeout) override;

 private:
  struct Entry {
    enum class Kind { kIo, kTimer, kSignal } kind = Kind::kTimer;
    int number = 0;  // of the descriptor or signal
    uint32_t events = 0;
    // Of a timer; infinite once it has fired.
    absl::Time at = absl::InfiniteFuture();
    IoHandler handler;
    bool is_gone = false;
  };
  class SourceImpl;

  Source Add(std::shared_ptr<Entry> entry);
  std::shared_ptr<Entry> NextTimer() const;
  bool Call(Entry::Kind kind, int number, uint32_t events);

  FakeClock* clock_;
  std::list<std::shared_ptr<Entry>> entries_;  // in the order of adding
  size_t wake_ups_ = 0;
};

}  // namespace vmsilo
