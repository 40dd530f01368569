#include "balloond/sim/rivals/rival.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"

namespace vmsilo::balloond::sim {
namespace {

// A VM that failed to answer so often is asked more and more rarely. The
// originals do this in some way or other, or are told by their VM manager
// that a guest sleeps; without it a silent guest would hold up every round.
constexpr int kFailures = 3;
constexpr absl::Duration kLongestPause = absl::Seconds(30);

}  // namespace

int64_t Rival::Vm::memory() const {
  if (traits.memory > 0) return traits.memory;
  return sample.has_value() ? sample->memory.value_or(0) : 0;
}

int64_t Rival::Vm::free_and_caches() const {
  return sample->free.value_or(0) + sample->caches.value_or(0);
}

Rival::Vm* Rival::Find(VmId id) {
  for (Vm& vm : vms_) {
    if (vm.id == id) return &vm;
  }
  return nullptr;
}

void Rival::AddVm(VmId id, const VmTraits& traits, absl::Time now) {
  const auto place =
      std::upper_bound(vms_.begin(), vms_.end(), traits.name,
                       [](const std::string& name, const Vm& vm) {
                         return name < vm.traits.name;
                       });
  Appeared(*vms_.insert(place, {.id = id, .traits = traits}));
  if (next_round_ == absl::InfinitePast()) next_round_ = now;
}

void Rival::UpdateVm(VmId id, const VmTraits& traits, absl::Time /*now*/) {
  if (Vm* vm = Find(id)) vm->traits = traits;
}

void Rival::RemoveVm(VmId id, absl::Time /*now*/) {
  vms_.erase(std::remove_if(vms_.begin(), vms_.end(),
                            [id](const Vm& vm) { return vm.id == id; }),
             vms_.end());
  Gone(id);
}

std::vector<VmId> Rival::Begin(const HostReading& host, absl::Time now) {
  begun_ = now;
  next_round_ = absl::InfiniteFuture();  // until this one is over
  std::vector<VmId> asked;
  for (Vm& vm : vms_) {
    vm.is_fresh = false;
    const auto resident = host.resident.find(vm.id);
    vm.resident.reset();
    if (resident != host.resident.end()) vm.resident = resident->second;
    if (!vm.traits.is_excluded && now >= vm.ask_from) asked.push_back(vm.id);
  }
  return asked;
}

void Rival::AddSample(VmId id, const absl::StatusOr<GuestSample>& sample,
                      absl::Time now) {
  Vm* vm = Find(id);
  if (vm == nullptr) return;
  if (sample.ok()) {
    vm->sample = *sample;
    vm->is_fresh = true;
    vm->failures = 0;
    return;
  }
  ++vm->failures;
  if (vm->failures >= kFailures) {
    const int doubled = std::min(vm->failures - kFailures, 5);
    vm->ask_from = now + std::min(kLongestPause, absl::Seconds(1 << doubled));
  }
}

std::vector<Resize> Rival::Decide(const HostReading& host, absl::Time /*now*/) {
  resizes_.clear();
  Judge(host);
  // What takes comes before what gives.
  std::stable_partition(
      resizes_.begin(), resizes_.end(), [this](const Resize& resize) {
        const Vm* vm = Find(resize.vm);
        return vm->sample.has_value() && resize.balloon > vm->sample->balloon;
      });
  if (next_round_ == absl::InfiniteFuture()) next_round_ = begun_ + interval_;
  return std::move(resizes_);
}

void Rival::Set(Vm& vm, int64_t balloon) {
  balloon = std::clamp<int64_t>(balloon, 0, std::max<int64_t>(0, vm.memory()));
  if (balloon == (vm.sample.has_value() ? vm.sample->balloon : 0) &&
      balloon == vm.target.value_or(0)) {
    return;
  }
  vm.target = balloon;
  resizes_.push_back(
      {.vm = vm.id, .balloon = balloon, .reason = Reason::kShared});
}

std::optional<VmView> Rival::View(VmId id) const {
  for (const Vm& vm : vms_) {
    if (vm.id != id) continue;
    return VmView{.traits = vm.traits,
                  .memory = vm.memory(),
                  .sample = vm.sample,
                  .resident = vm.resident,
                  .target = vm.target,
                  .reason = Reason::kShared,
                  .is_managed = vm.is_fresh};
  }
  return std::nullopt;
}

}  // namespace vmsilo::balloond::sim
