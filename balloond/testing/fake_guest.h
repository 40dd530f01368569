#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/event_loop.h"
#include "hypervisor/client.h"

namespace vmsilo::balloond {

// A VM without a hypervisor: a guest that obeys at once, and a client that
// says how it is. It can be told to be slow, to say nothing and to refuse.
class FakeGuest {
 public:
  explicit FakeGuest(EventLoop* loop, Bytes memory)
      : loop_(loop), memory_(memory) {}
  FakeGuest(const FakeGuest&) = delete;
  FakeGuest& operator=(const FakeGuest&) = delete;

  // Its only client, which must go before it.
  std::unique_ptr<hypervisor::BalloonClient> MakeClient();

  // Time from a question to its answer.
  void set_latency(absl::Duration latency) { latency_ = latency; }
  // Answers with this; OK for samples.
  void set_error(absl::Status error) { error_ = std::move(error); }
  void set_resize_error(absl::Status error) {
    resize_error_ = std::move(error);
  }
  void set_statistics(hypervisor::GuestMemory statistics) {
    statistics_ = statistics;
  }
  // The guest changes it by itself, and its hypervisor tells.
  void ChangeBalloon(Bytes size);

  Bytes balloon() const { return balloon_; }
  // Those that it was asked for, in order.
  const std::vector<Bytes>& asked() const { return asked_; }
  int queries() const { return queries_; }
  // How often that was while it owed statistics.
  int asked_while_owing() const { return asked_while_owing_; }
  bool has_client() const { return has_client_; }

 private:
  class Client;

  EventLoop* loop_;
  Bytes memory_;
  Bytes balloon_;
  absl::Duration latency_ = absl::Milliseconds(1);
  absl::Status error_;
  absl::Status resize_error_;
  hypervisor::GuestMemory statistics_;
  std::vector<Bytes> asked_;
  int queries_ = 0;
  int owed_ = 0;
  int asked_while_owing_ = 0;
  bool has_client_ = false;
  std::function<void(Bytes)> on_change_;
};

}  // namespace vmsilo::balloond
