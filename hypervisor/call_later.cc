#include "hypervisor/call_later.h"

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"

namespace vmsilo::hypervisor {

void CallLater::Add(std::function<void()> function) {
  functions_.push_back(std::move(function));
  if (functions_.size() == 1) Schedule();
}

void CallLater::Schedule() {
  absl::StatusOr<Source> timer = loop_->AddTimer(absl::ZeroDuration(), [this] {
    CallFirst();
    return absl::OkStatus();
  });
  if (timer.ok()) {
    source_ = *std::move(timer);
  } else {
    CallFirst();  // too early is better than never
  }
}

void CallLater::CallFirst() {
  const std::function<void()> function = std::move(functions_.front());
  functions_.pop_front();
  if (!functions_.empty()) Schedule();
  function();
}

}  // namespace vmsilo::hypervisor
