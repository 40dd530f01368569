#pragma once

#include <systemd/sd-event.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"

namespace vmsilo {

// An EventLoop on sd-event, to which sd-bus and sd-device attach as well.
class SdEventLoop final : public EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<SdEventLoop>> Create();
  ~SdEventLoop() override;

  absl::StatusOr<Source> AddIo(int fd, uint32_t events,
                               IoHandler handler) override;
  absl::StatusOr<Source> AddTimer(absl::Duration after,
                                  Handler handler) override;
  absl::StatusOr<Source> AddSignal(int signo, Handler handler) override;
  absl::Status RunOnce(absl::Duration timeout) override;

  // Borrowed, for sd_bus_attach_event() and the like.
  sd_event* event() { return event_; }

 private:
  struct State;
  class SourceImpl;

  explicit SdEventLoop(sd_event* event) : event_(event) {}

  sd_event* event_;
  absl::Status status_;  // what a handler returned
};

}  // namespace vmsilo
