#include "balloond/balancer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/committed.h"
#include "balloond/controller.h"
#include "balloond/level.h"
#include "balloond/policy.h"
#include "balloond/saturate.h"
#include "balloond/settings.h"
#include "balloond/stall.h"

namespace vmsilo::balloond {
namespace {

// What a guest reports may exceed its RAM by rounding, not by more.
constexpr int64_t kTolerance = 64 * kMiB;

// The first sample may date from the driver's start.
constexpr int kSamplesToManage = 2;
constexpr absl::Duration kNewSampleInterval = absl::Milliseconds(500);
// A VM that has just appeared is looked at often for this long.
constexpr absl::Duration kNewFor = absl::Seconds(15);

constexpr int kFailuresToDrop = 3;
constexpr absl::Duration kFirstProbe = absl::Seconds(1);
constexpr absl::Duration kLongestProbe = absl::Seconds(30);

// A VM that says nothing for so long gets back what it gave, in such steps:
// it may be in need and nobody would know.
constexpr absl::Duration kGiveBackAfter = absl::Seconds(30);
constexpr int64_t kGiveBackStep = 256 * kMiB;

// Rates of growth that are assumed where nothing was seen yet (a second).
constexpr int64_t kLeastGuestGrowth = 100 * kMiB;
constexpr int64_t kLeastHostGrowth = 200 * kMiB;
constexpr absl::Duration kHalfLife = absl::Seconds(30);
// Of what a guest does at the moment.
constexpr absl::Duration kSurgeHalfLife = absl::Seconds(1);

// A guest with so much free beyond its watermarks would have more page cache
// if it wanted, and grows by less than this a second if it does not.
constexpr int64_t kRoomForCache = 64 * kMiB;
constexpr int64_t kSettledRate = kMiB;
// Less growth between two samples says nothing about what it was for.
constexpr int64_t kTellingGrowth = 16 * kMiB;

// Hypervisors have memory of their own, which no balloon gets back: at least so
// much, and more where it shows that a VM occupies more than its guest could.
constexpr int64_t kLeastOverhead = 32 * kMiB;
constexpr int64_t kMostOverhead = 512 * kMiB;
constexpr absl::Duration kAtRest = absl::Seconds(5);

// What a VM occupied is remembered for so long: older samples are taken for as
// old as this.
constexpr absl::Duration kOldestSample = absl::Seconds(3);

// However much a person or a policy wants: no kernel lives in less.
constexpr int64_t kLeastVisible = 64 * kMiB;

int64_t Aligned(int64_t balloon) { return balloon / kMiB * kMiB; }

bool IsPlausible(const std::optional<int64_t>& value, int64_t max) {
  return !value || (*value >= 0 && *value <= max);
}

}  // namespace

int64_t MostBalloon(int64_t memory, int64_t guaranteed) {
  return std::max<int64_t>(
      0, SaturatingSubtract(memory, std::max(kLeastVisible, guaranteed)));
}

std::unique_ptr<Policy> MakePolicy(PolicyKind kind) {
  if (kind == PolicyKind::kLevel) return std::make_unique<LevelPolicy>();
  return std::make_unique<CommittedPolicy>();
}

void Balancer::GrowthRate::Add(int64_t growth, absl::Duration elapsed,
                               absl::Time now) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  if (seconds <= 0) return;
  const double rate = static_cast<double>(growth) / seconds;
  if (rate > static_cast<double>(At(now))) {
    rate_ = rate;
    since_ = now;
  }
}

int64_t Balancer::GrowthRate::At(absl::Time now) const {
  const double rate =
      rate_ == 0
          ? 0
          : rate_ * std::exp2(-absl::FDivDuration(now - since_, half_life_));
  return std::max(least_, static_cast<int64_t>(std::min(rate, 1e15)));
}

void Balancer::Occupation::Add(absl::Time now, int64_t occupied) {
  while (readings_.size() > 1 && now - readings_[1].time > kOldestSample) {
    readings_.pop_front();
  }
  readings_.push_back({.time = now, .occupied = occupied});
}

std::optional<int64_t> Balancer::Occupation::Last() const {
  if (readings_.empty()) return std::nullopt;
  return readings_.back().occupied;
}

std::optional<int64_t> Balancer::Occupation::At(absl::Time time) const {
  if (readings_.empty()) return std::nullopt;
  auto after = std::find_if(
      readings_.begin(), readings_.end(),
      [time](const Reading& reading) { return reading.time > time; });
  return after == readings_.begin() ? after->occupied
                                    : std::prev(after)->occupied;
}

Balancer::Vm::Vm()
    : growth(kLeastGuestGrowth, kHalfLife),
      surge(0, kSurgeHalfLife),
      overhead(kLeastOverhead) {}

int64_t Balancer::Vm::Memory() const {
  if (traits.memory > 0) return traits.memory;
  return learned_memory;
}

std::optional<int64_t> Balancer::Vm::GuestPart(
    std::optional<int64_t> occupied) const {
  if (!occupied) return std::nullopt;
  return std::max<int64_t>(0, *occupied - overhead);
}

bool Balancer::Vm::IsManaged() const {
  return !traits.is_excluded && samples >= kSamplesToManage &&
         failures < kFailuresToDrop;
}

bool Balancer::Vm::IsProbeDue(absl::Time now) const {
  absl::Duration wait = kNewSampleInterval;
  if (failures >= kFailuresToDrop) {
    const int doublings = std::min(failures - kFailuresToDrop, 10);
    wait = std::min(kFirstProbe * (1 << doublings), kLongestProbe);
  }
  return now - asked >= std::max(wait, traits.min_sample_interval);
}

Balancer::Balancer(const Settings& settings, std::unique_ptr<Policy> policy)
    : settings_(settings),
      policy_(std::move(policy)),
      host_growth_(kLeastHostGrowth, kHalfLife) {}

void Balancer::AddVm(VmId vm, const VmTraits& traits, absl::Time now) {
  Vm& added = vms_[vm];
  added.id = vm;
  added.traits = traits;
  added.added = now;
  added.failing_since = now;
  Hurry(now);
}

void Balancer::UpdateVm(VmId vm, const VmTraits& traits, absl::Time now) {
  const auto it = vms_.find(vm);
  if (it == vms_.end()) return;
  it->second.traits = traits;
  Hurry(now);
}

void Balancer::RemoveVm(VmId vm, absl::Time now) {
  if (vms_.erase(vm) > 0) Hurry(now);
}

std::vector<Balancer::Vm*> Balancer::InOrder() {
  std::vector<Vm*> vms;
  vms.reserve(vms_.size());
  for (auto& [id, vm] : vms_) vms.push_back(&vm);
  std::stable_sort(vms.begin(), vms.end(), [](const Vm* a, const Vm* b) {
    return a->traits.name < b->traits.name;
  });
  return vms;
}

Snapshot Balancer::Look(const std::vector<Vm*>& vms, const HostReading& host,
                        absl::Time now) const {
  Snapshot snapshot;
  snapshot.settings = settings_;
  snapshot.host_total = host.total;
  snapshot.host_available = host.available;
  snapshot.host_free = host.free;
  snapshot.pressure = host.pressure;
  snapshot.host_growth_rate = host_growth_.At(now);
  snapshot.guests.reserve(vms.size());
  for (const Vm* vm : vms) {
    Snapshot::Guest guest;
    guest.vm = vm->id;
    guest.memory = vm->Memory();
    guest.guaranteed = std::min(vm->traits.guaranteed, guest.memory);
    guest.resident = vm->GuestPart(vm->resident.Last());
    if (vm->sample) guest.balloon = vm->sample->balloon;
    guest.target = vm->target.value_or(guest.balloon);
    guest.has_sample = vm->IsManaged() && !vm->traits.fixed_balloon;
    if (guest.has_sample) {
      const GuestSample& sample = *vm->sample;
      const int64_t room = std::max<int64_t>(0, guest.memory - guest.balloon);
      guest.free = std::min(sample.free.value_or(0), room);
      guest.caches = std::min(sample.caches.value_or(0), room - guest.free);
      guest.usable =
          std::min(guest.free + guest.caches, sample.available.value_or(room));
      guest.age = now - sample.taken;
      guest.latency = vm->latency;
      guest.resident_then = vm->GuestPart(vm->resident_then);
      guest.growth_rate = vm->growth.At(now);
      guest.surge = vm->surge.At(now);
      guest.lasting_share = vm->lasting_share;
      guest.cache_rate = vm->cache_rate;
      guest.settled_cache = std::min(vm->settled_cache, guest.memory);
      guest.is_fresh = vm->answered >= last_begin_;
      const int64_t critical =
          std::min(settings_.critical_guest_available, guest.memory / 4);
      guest.can_inflate =
          !vm->stall.IsBlocked(guest.usable - critical, guest.memory, now);
    }
    snapshot.guests.push_back(guest);
  }
  return snapshot;
}

std::vector<VmId> Balancer::Begin(const HostReading& host, absl::Time now) {
  if (last_available_) {
    host_growth_.Add(SaturatingSubtract(*last_available_, host.available),
                     now - last_begin_, now);
  }
  const absl::Duration elapsed = now - last_begin_;
  last_available_ = host.available;
  host_total_ = host.total;
  last_begin_ = now;
  for (auto& [id, vm] : vms_) {
    const auto it = host.resident.find(id);
    if (it == host.resident.end()) {
      vm.resident.Clear();
      continue;
    }
    if (const std::optional<int64_t> before = vm.resident.Last()) {
      vm.surge.Add(SaturatingSubtract(it->second, *before), elapsed, now);
    }
    vm.resident.Add(now, it->second);
  }
  const std::vector<Vm*> vms = InOrder();
  const Snapshot snapshot = Look(vms, host, now);
  const std::vector<bool> due = policy_->DueSamples(snapshot);
  std::vector<VmId> asked;
  for (size_t i = 0; i < vms.size(); ++i) {
    Vm* vm = vms[i];
    if (vm->traits.is_excluded || vm->is_asked) continue;
    bool is_due = false;
    if (vm->IsManaged() && vm->traits.fixed_balloon) {
      is_due = now - vm->asked >= settings_.poll_interval;
    } else if (vm->IsManaged()) {
      is_due = due[i] && now - vm->asked >= vm->traits.min_sample_interval;
    } else {
      is_due = vm->IsProbeDue(now);
    }
    if (!is_due) continue;
    vm->asked = now;
    vm->is_asked = true;
    asked.push_back(vm->id);
  }
  return asked;
}

bool Balancer::IsUsable(const Vm& vm, const GuestSample& sample) {
  if (!sample.free) return false;
  const int64_t memory = vm.Memory();
  const int64_t max = SaturatingAdd(memory, kTolerance);
  if (sample.balloon < 0 || sample.balloon > memory) return false;
  if (!IsPlausible(sample.free, max) || !IsPlausible(sample.caches, max) ||
      !IsPlausible(sample.available, max) || !IsPlausible(sample.total, max)) {
    return false;
  }
  return !sample.total || *sample.free <= *sample.total;
}

void Balancer::AddSample(VmId id, const absl::StatusOr<GuestSample>& sample,
                         absl::Time now) {
  const auto it = vms_.find(id);
  if (it == vms_.end()) return;
  Vm& vm = it->second;
  vm.is_asked = false;
  if (!WaitsForSamples()) Hurry(now);
  if (sample.ok() && vm.traits.memory == 0) {
    // No guest has more than the host, whatever it says.
    const int64_t claimed = sample->memory.value_or(sample->total.value_or(0));
    vm.learned_memory = std::max(vm.learned_memory,
                                 std::clamp<int64_t>(claimed, 0, host_total_));
  }
  if (!sample.ok() || !IsUsable(vm, *sample)) {
    if (vm.failures++ == 0) vm.failing_since = now;
    return;
  }
  const absl::Duration latency =
      std::clamp(now - sample->taken, absl::ZeroDuration(), absl::Seconds(10));
  if (vm.sample && vm.samples >= kSamplesToManage) {
    const auto used = [&vm](const GuestSample& s) {
      return vm.Memory() - s.balloon - *s.free - s.caches.value_or(0);
    };
    const absl::Duration elapsed = sample->taken - vm.sample->taken;
    const int64_t lasting = used(*sample) - used(*vm.sample);
    vm.growth.Add(lasting, elapsed, now);
    const int64_t caches = sample->caches.value_or(0);
    const int64_t grown = caches - vm.sample->caches.value_or(0);
    if (std::max<int64_t>(lasting, 0) + std::max<int64_t>(grown, 0) >=
        kTellingGrowth) {
      vm.lasting_share = static_cast<double>(std::max<int64_t>(lasting, 0)) /
                         static_cast<double>(std::max<int64_t>(lasting, 0) +
                                             std::max<int64_t>(grown, 0));
      const double seconds = absl::ToDoubleSeconds(elapsed);
      vm.cache_rate =
          seconds <= 0
              ? 0
              : static_cast<int64_t>(
                    static_cast<double>(std::max<int64_t>(grown, 0)) / seconds);
    }
    if (*sample->free > vm.Memory() / 50 + kRoomForCache &&
        absl::ToDoubleSeconds(elapsed) > 0 &&
        std::abs(static_cast<double>(grown)) <
            static_cast<double>(kSettledRate) *
                absl::ToDoubleSeconds(elapsed)) {
      vm.settled_cache = caches;
    }
  }
  const std::optional<int64_t> resident_then = vm.resident.At(sample->taken);
  if (resident_then && sample->balloon == vm.target.value_or(sample->balloon) &&
      now - vm.resized > kAtRest && now - vm.added > kAtRest) {
    // What it has beyond all that the guest could. With a balloon that has just
    // moved, or a sample of before, that would be the guest's growth.
    vm.overhead = std::clamp(
        SaturatingSubtract(*resident_then, vm.Memory() - sample->balloon),
        vm.overhead, kMostOverhead);
  }
  vm.failures = 0;
  vm.answered = now;
  vm.sample = *sample;
  vm.resident_then = resident_then;
  vm.latency = latency;
  ++vm.samples;
  switch (vm.stall.OnBalloon(sample->balloon, now)) {
    case StallWatch::Verdict::kNone:
      return;
    case StallWatch::Verdict::kStalled:
      vm.reason = Reason::kStalled;
      break;
    case StallWatch::Verdict::kRefused:
      vm.reason = Reason::kGuestRefused;
      break;
  }
  vm.parked = StallWatch::ParkedTarget(sample->balloon);
}

std::optional<Wish> Balancer::OwnWish(Vm* vm, bool is_host_well,
                                      absl::Time now) const {
  if (vm->traits.is_excluded) {
    vm->reason = Reason::kExcluded;
    return std::nullopt;
  }
  if (vm->parked) {
    return Wish{.balloon = *std::exchange(vm->parked, std::nullopt),
                .reason = vm->reason};
  }
  if (vm->IsManaged()) {
    if (!vm->traits.fixed_balloon) return std::nullopt;
    return Wish{.balloon = *vm->traits.fixed_balloon, .reason = Reason::kFixed};
  }
  vm->reason = vm->failures < kFailuresToDrop && vm->samples < kSamplesToManage
                   ? Reason::kWaiting
                   : Reason::kUnmanaged;
  const int64_t balloon =
      vm->target.value_or(vm->sample ? vm->sample->balloon : 0);
  if (balloon <= 0 || vm->reason != Reason::kUnmanaged || !is_host_well ||
      now - vm->failing_since < kGiveBackAfter ||
      now - vm->resized < settings_.poll_interval) {
    return std::nullopt;
  }
  return Wish{.balloon = std::max<int64_t>(0, balloon - kGiveBackStep),
              .reason = Reason::kUnmanaged};
}

std::vector<Resize> Balancer::Decide(const HostReading& host, absl::Time now) {
  const std::vector<Vm*> vms = InOrder();
  const Snapshot snapshot = Look(vms, host, now);
  const std::vector<Wish> wishes = policy_->Decide(snapshot);
  const bool is_host_well =
      host.available > HostReserve(settings_.critical_host_percent, host.total);
  std::vector<Resize> takes;
  std::vector<Resize> gives;
  bool has_new = false;
  for (size_t i = 0; i < vms.size(); ++i) {
    Vm* vm = vms[i];
    if (now - vm->added < kNewFor && vm->samples < kSamplesToManage &&
        !vm->traits.is_excluded) {
      has_new = true;
    }
    std::optional<Wish> wish = OwnWish(vm, is_host_well, now);
    if (!wish && snapshot.guests[i].has_sample) {
      wish = wishes[i];
      vm->reason = wish->reason;
      if (!snapshot.guests[i].can_inflate && vm->reason == Reason::kBalanced) {
        vm->reason = Reason::kBlocked;
      }
    }
    if (!wish) continue;
    vm->reason = wish->reason;
    const int64_t most = MostBalloon(vm->Memory(), vm->traits.guaranteed);
    const int64_t balloon =
        Aligned(std::clamp<int64_t>(wish->balloon, 0, most));
    const int64_t present = vm->sample ? vm->sample->balloon : 0;
    if (balloon == Aligned(vm->target.value_or(present))) continue;
    const Resize resize = {
        .vm = vm->id, .balloon = balloon, .reason = wish->reason};
    if (balloon > present) {
      vm->stall.OnInflate(present, balloon, vm->target.value_or(present), now);
    } else {
      vm->stall.OnOther();
    }
    const bool takes_more = balloon > vm->target.value_or(present);
    vm->target = balloon;
    vm->resized = now;
    (takes_more ? takes : gives).push_back(resize);
  }
  // Among those that get something, the needy come first.
  std::stable_partition(gives.begin(), gives.end(), [](const Resize& resize) {
    return resize.reason == Reason::kGuestShort;
  });
  takes.insert(takes.end(), gives.begin(), gives.end());

  absl::Duration wait = policy_->UntilNextRound(Look(vms, host, now));
  if (has_new) {
    wait = std::min(wait,
                    std::max(kNewSampleInterval, settings_.min_poll_interval));
  }
  last_round_ = now;
  next_round_ = now + wait;
  return takes;
}

void Balancer::OnResized(VmId vm, bool is_ok, absl::Time now) {
  const auto it = vms_.find(vm);
  if (it == vms_.end() || is_ok) return;
  // What is asked of the guest now is unknown: what it has counts.
  it->second.target.reset();
  it->second.stall.OnOther();
  it->second.resized = now;
}

void Balancer::Hurry(absl::Time now) {
  next_round_ = std::min(
      next_round_, std::max(now, last_round_ + settings_.min_poll_interval));
}

std::optional<VmView> Balancer::View(VmId id) const {
  const auto it = vms_.find(id);
  if (it == vms_.end()) return std::nullopt;
  const Vm& vm = it->second;
  return VmView{.traits = vm.traits,
                .memory = vm.Memory(),
                .sample = vm.sample,
                .resident = vm.resident.Last(),
                .target = vm.target,
                .reason = vm.reason,
                .is_managed = vm.IsManaged()};
}

}  // namespace vmsilo::balloond
