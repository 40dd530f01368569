#include "balloond/rounds.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/host.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "hypervisor/client.h"

namespace vmsilo::balloond {
namespace {

// However much is at stake: a guest may be on a processor that is shared.
constexpr absl::Duration kShortestWait = absl::Milliseconds(100);
// How long a VM that nobody waits for may take, and what it said then may be
// kept for the next round.
constexpr absl::Duration kPatience = absl::Seconds(5);
// A hypervisor takes a request at once or is stuck.
constexpr absl::Duration kResizeDeadline = absl::Seconds(1);
// Whatever the controller says: never busier than this, nor without a look
// for longer.
constexpr absl::Duration kShortestPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Minutes(1);
// A look at the host failed: nothing is known about it, so nothing hurries.
constexpr absl::Duration kRetry = absl::Seconds(2);
// What a balloon may differ from what was asked for without meaning.
constexpr int64_t kNoise = int64_t{1} << 20;

int64_t ToSigned(Bytes bytes) {
  return static_cast<int64_t>(
      std::min<uint64_t>(bytes.count(), std::numeric_limits<int64_t>::max()));
}

std::optional<int64_t> ToSigned(const std::optional<Bytes>& bytes) {
  if (!bytes) return std::nullopt;
  return ToSigned(*bytes);
}

GuestSample ToGuestSample(const hypervisor::BalloonSample& sample,
                          absl::Time now) {
  GuestSample result;
  result.balloon = ToSigned(sample.size);
  result.memory = ToSigned(sample.memory);
  result.taken = now - std::max(sample.age, absl::ZeroDuration());
  if (!sample.guest) return result;
  const hypervisor::GuestMemory& guest = *sample.guest;
  result.free = ToSigned(guest.free);
  result.caches = ToSigned(guest.caches);
  result.available = ToSigned(guest.available);
  result.total = ToSigned(guest.total);
  if (guest.oom_kills) result.oom_kills = ToSigned(Bytes(*guest.oom_kills));
  return result;
}

}  // namespace

Rounds::Rounds(EventLoop* loop, const Clock* clock, HostSource* host,
               Controller* controller, Observer* observer, Options options)
    : loop_(loop),
      clock_(clock),
      host_(host),
      controller_(controller),
      observer_(observer),
      options_(options) {}

absl::Status Rounds::Start() {
  VMSILO_ASSIGN_OR_RETURN(timer_, loop_->AddTimer(absl::ZeroDuration(), [this] {
    OnTimer();
    return absl::OkStatus();
  }));
  return absl::OkStatus();
}

VmTraits Rounds::Complete(const Vm& vm, VmTraits traits) {
  traits.min_sample_interval = vm.client->min_sample_interval();
  return traits;
}

void Rounds::AddVm(VmId id, const VmTraits& traits,
                   std::unique_ptr<hypervisor::BalloonClient> client) {
  client->OnChange([this, id](Bytes size) { OnChange(id, size); });
  Vm& vm = vms_[id];
  vm.client = std::move(client);
  controller_->AddVm(id, Complete(vm, traits), clock_->Now());
  Schedule();
}

void Rounds::UpdateVm(VmId id, const VmTraits& traits) {
  const auto it = vms_.find(id);
  if (it == vms_.end()) return;
  controller_->UpdateVm(id, Complete(it->second, traits), clock_->Now());
  Schedule();
}

void Rounds::RemoveVm(VmId id) {
  vms_.erase(id);
  named_.erase(id);
  const bool was_waited_for = waited_for_.erase(id) > 0;
  controller_->RemoveVm(id, clock_->Now());
  if (state_ == State::kCollecting && was_waited_for && IsComplete()) {
    // Not from here: the caller may be in the middle of others.
    SetTimer(absl::ZeroDuration());
    return;
  }
  Schedule();
}

void Rounds::Hurry() {
  controller_->Hurry(clock_->Now());
  Schedule();
}

void Rounds::SetTimer(absl::Duration after) {
  // Fails only for what is no timer, or a time that is none.
  (void)timer_.SetTimer(after);
}

void Rounds::Schedule() {
  if (state_ != State::kIdle || !timer_.is_active()) return;
  const absl::Time now = clock_->Now();
  const absl::Time earliest = ended_ + kShortestPause;
  const absl::Time next = std::max(controller_->NextRound(), earliest);
  SetTimer(std::clamp(next - now, absl::ZeroDuration(), kLongestPause));
}

void Rounds::OnTimer() {
  if (state_ == State::kCollecting) {
    End();
  } else {
    Begin();
  }
}

void Rounds::Begin() {
  const absl::Time now = clock_->Now();
  const absl::StatusOr<HostReading> host = host_->Read(now);
  if (!host.ok()) {
    observer_->OnHostError(host.status());
    return SetTimer(kRetry);
  }
  state_ = State::kCollecting;
  const std::vector<VmId> named = controller_->Begin(*host, now);
  if (!controller_->WaitsForSamples()) {
    state_ = State::kIdle;
    Decide(*host, now);
    // Not before: crosvm makes no balloon larger while its guest owes
    // statistics.
    for (const VmId id : named) {
      const auto it = vms_.find(id);
      if (it != vms_.end() && !it->second.asked) Ask(id, &it->second);
    }
    return;
  }
  for (const VmId id : named) {
    const auto it = vms_.find(id);
    if (it == vms_.end()) continue;
    Vm& vm = it->second;
    named_.insert(id);
    if (!vm.asked) Ask(id, &vm);
    const std::optional<GuestSample> late =
        std::exchange(vm.late, std::nullopt);
    if (vm.is_prompt) {
      waited_for_.insert(id);
    } else if (late && now - late->taken <= kPatience) {
      Deliver(id, *late);
    }
  }
  if (IsComplete()) return End();
  SetTimer(deadline_);
}

void Rounds::Ask(VmId id, Vm* vm) {
  vm->asked = clock_->Now();
  ++queries_;
  vm->client->Query(
      vm->is_prompt ? deadline_ : kPatience,
      [this, id](absl::StatusOr<hypervisor::BalloonSample> answer) {
        OnAnswer(id, std::move(answer));
      });
}

void Rounds::OnAnswer(VmId id,
                      absl::StatusOr<hypervisor::BalloonSample> answer) {
  const auto it = vms_.find(id);
  if (it == vms_.end()) return;
  Vm& vm = it->second;
  const absl::Time now = clock_->Now();
  // One that says no at once is prompt, too.
  vm.is_prompt = now - *vm.asked < deadline_;
  vm.asked.reset();
  if (!answer.ok()) observer_->OnSampleError(id, answer.status());
  if (!controller_->WaitsForSamples()) {
    controller_->AddSample(
        id,
        answer.ok() ? absl::StatusOr<GuestSample>(ToGuestSample(*answer, now))
                    : answer.status(),
        now);
    return Schedule();
  }
  if (named_.count(id) == 0) {
    if (answer.ok()) vm.late = ToGuestSample(*answer, now);
    return;
  }
  const bool was_waited_for = waited_for_.count(id) > 0;
  Deliver(id, answer.ok()
                  ? absl::StatusOr<GuestSample>(ToGuestSample(*answer, now))
                  : answer.status());
  if (was_waited_for && IsComplete()) {
    // Other answers may have come at the same time; they are in it, then.
    SetTimer(absl::ZeroDuration());
  }
}

void Rounds::Deliver(VmId id, const absl::StatusOr<GuestSample>& sample) {
  named_.erase(id);
  waited_for_.erase(id);
  controller_->AddSample(id, sample, clock_->Now());
}

void Rounds::End() {
  for (const VmId id : std::exchange(named_, {})) {
    // The client says the same later, to nobody's surprise.
    if (const auto it = vms_.find(id); it != vms_.end()) {
      it->second.is_prompt = false;
    }
    controller_->AddSample(id, absl::DeadlineExceededError("no answer in time"),
                           clock_->Now());
  }
  waited_for_.clear();
  state_ = State::kIdle;
  ended_ = clock_->Now();
  // Again, for what the guests did while they were asked.
  const absl::StatusOr<HostReading> host = host_->Read(ended_);
  if (!host.ok()) {
    observer_->OnHostError(host.status());
    return SetTimer(kRetry);
  }
  Decide(*host, ended_);
}

void Rounds::Decide(const HostReading& host, absl::Time now) {
  ended_ = now;
  for (const Resize& resize : controller_->Decide(host, now)) Send(resize);
  // Not longer than the controller wants to wait for the next one.
  deadline_ = std::clamp(controller_->NextRound() - ended_, kShortestWait,
                         kLongestWait);
  observer_->OnRound(host);
  Schedule();
}

void Rounds::Send(const Resize& resize) {
  const auto it = vms_.find(resize.vm);
  if (it == vms_.end()) return;
  observer_->OnResize(resize);
  const VmId id = resize.vm;
  if (options_.is_dry_run) {
    controller_->OnResized(id, /*is_ok=*/false, clock_->Now());
    return;
  }
  ++resizes_;
  it->second.client->SetSize(
      Bytes(static_cast<uint64_t>(std::max<int64_t>(resize.balloon, 0))),
      kResizeDeadline, [this, id](const absl::Status& status) {
        if (!status.ok()) observer_->OnResizeError(id, status);
        controller_->OnResized(id, status.ok(), clock_->Now());
      });
}

void Rounds::OnChange(VmId id, Bytes size) {
  const std::optional<VmView> view = controller_->View(id);
  if (!view || !view->sample || !view->target) return;
  // Less than it had, though nobody has asked it to: the guest was out of
  // memory and has helped itself.
  const int64_t balloon = ToSigned(size);
  if (balloon < view->sample->balloon - kNoise &&
      balloon < *view->target - kNoise) {
    Hurry();
  }
}

}  // namespace vmsilo::balloond
