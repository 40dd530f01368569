#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/host.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "hypervisor/client.h"

namespace vmsilo::balloond {

// Drives a controller with a real host and real VMs: a round at its time,
// which asks the VMs that the controller names, waits for them, and passes on
// what it decides. Nothing else wakes the program up.
//
// A VM that is late holds the others up once, by the deadline of a round.
// After that nobody waits for it until it is quick again: what it says between
// two rounds counts in the next.
class Rounds {
 public:
  // Who is told what happens. All calls come from within the loop; a call may
  // remove VMs, but not destroy the rounds.
  class Observer {
   public:
    virtual ~Observer() = default;
    // The host cannot be looked at: there was no round.
    virtual void OnHostError(const absl::Status& status) = 0;
    // A VM has not said how it is.
    virtual void OnSampleError(VmId vm, const absl::Status& status) = 0;
    // A VM's hypervisor is asked for another balloon, or would be in a dry
    // run, and what came of it.
    virtual void OnResize(const Resize& resize) = 0;
    virtual void OnResizeError(VmId vm, const absl::Status& status) = 0;
    // A round has ended: the host as it was when it was decided.
    virtual void OnRound(const HostReading& host) = 0;
  };

  // How long a round waits for VMs at most. A guest that is well answers within
  // milliseconds.
  static constexpr absl::Duration kLongestWait = absl::Seconds(1);

  struct Options {
    // Decide, but ask for nothing.
    bool is_dry_run = false;
  };

  // All are borrowed.
  Rounds(EventLoop* loop, const Clock* clock, HostSource* host,
         Controller* controller, Observer* observer, Options options);
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  // The first round is as soon as the controller likes.
  absl::Status Start();

  // How often it can be asked is the client's to say.
  void AddVm(VmId vm, const VmTraits& traits,
             std::unique_ptr<hypervisor::BalloonClient> client);
  void UpdateVm(VmId vm, const VmTraits& traits);
  void RemoveVm(VmId vm);

  // Something that cannot wait has happened.
  void Hurry();

  // What was sent to hypervisors since the start.
  uint64_t queries() const { return queries_; }
  uint64_t resizes() const { return resizes_; }

 private:
  struct Vm {
    std::unique_ptr<hypervisor::BalloonClient> client;
    // Rounds wait for it: its last answer came in time.
    bool is_prompt = true;
    std::optional<absl::Time> asked;  // while there is no answer
    // What was said too late for the round that asked.
    std::optional<GuestSample> late;
  };

  static VmTraits Complete(const Vm& vm, VmTraits traits);

  enum class State { kIdle, kCollecting };

  // Sets the timer for the next round, if none is under way.
  void Schedule();
  void SetTimer(absl::Duration after);
  void OnTimer();
  void Begin();
  void Ask(VmId id, Vm* vm);
  void OnAnswer(VmId id, absl::StatusOr<hypervisor::BalloonSample> answer);
  void Deliver(VmId id, const absl::StatusOr<GuestSample>& sample);
  // Whether those that are waited for have answered.
  bool IsComplete() const { return waited_for_.empty(); }
  void End();
  void Decide(const HostReading& host, absl::Time now);
  void Send(const Resize& resize);
  void OnChange(VmId id, Bytes size);

  EventLoop* loop_;
  const Clock* clock_;
  HostSource* host_;
  Controller* controller_;
  Observer* observer_;
  Options options_;

  std::map<VmId, Vm> vms_;
  State state_ = State::kIdle;
  // Of the round under way: who was named and has not answered, and for whom
  // of these it waits.
  std::set<VmId> named_;
  std::set<VmId> waited_for_;
  absl::Duration deadline_ = kLongestWait;
  absl::Time ended_ = absl::InfinitePast();
  uint64_t queries_ = 0;
  uint64_t resizes_ = 0;
  Source timer_;
};

}  // namespace vmsilo::balloond
