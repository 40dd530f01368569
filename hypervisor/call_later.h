#pragma once

#include <functional>
#include <list>

#include "common/event_loop.h"

namespace vmsilo::hypervisor {

// Calls functions from the event loop, in their order, one a turn: for results
// that are known before the caller expects to be called. Those that have not
// been called when it is destroyed are dropped.
class CallLater {
 public:
  explicit CallLater(EventLoop* loop) : loop_(loop) {}
  CallLater(const CallLater&) = delete;
  CallLater& operator=(const CallLater&) = delete;

  // `function` may destroy the CallLater.
  void Add(std::function<void()> function);

 private:
  void Schedule();
  void CallFirst();

  EventLoop* loop_;
  std::list<std::function<void()>> functions_;
  Source source_;
};

}  // namespace vmsilo::hypervisor
