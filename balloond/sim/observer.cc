#include "balloond/sim/observer.h"

#include <algorithm>
#include <cmath>

#include "balloond/sim/criterion.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/result.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {
namespace {

// What a guest can have at once, MiB: less is short. A burst of 800 MiB a
// second takes that in an eighth of a second.
constexpr double kGuestFloor = 100;
// A balloon that turns after less is only trembling.
constexpr double kTurn = 4;

// And could be helped by its balloon.
bool IsShort(const Guest& guest, const Demand& demand) {
  const double headroom =
      guest.free() - guest.watermark() / 2 + guest.cache() - demand.hot;
  return !guest.is_frozen() && headroom < kGuestFloor &&
         headroom + guest.balloon() >= kGuestFloor;
}

}  // namespace

Observer::Observer(const Timeline& timeline, RunResult* result)
    : dt_(timeline.step_seconds()),
      half_(timeline.trace().duration / 2),
      result_(result),
      vms_(timeline.vms()) {
  result_->pressure_time_of.assign(timeline.vms(), 0);
}

void Observer::NoteReaction(bool is_short, int step, int* since) {
  if (is_short) {
    if (*since < 0) *since = step;
  } else if (*since >= 0) {
    result_->reactions.push_back((step - *since) * dt_);
    *since = -1;
  }
}

void Observer::ObserveVm(const World& world, int index) {
  Vm& vm = vms_[index];
  const Guest& guest = world.guest(index);
  const int step = world.step() - 1;
  const Demand& demand = world.timeline().at(step, index);
  if (!world.is_on(index)) {
    vm = {};
    return;
  }
  result_->vm_time += dt_;
  result_->travel += std::abs(guest.balloon() - vm.balloon);
  vm.balloon = guest.balloon();

  if (world.time() >= half_) {
    if (!vm.is_measured) {
      vm.is_measured = true;
      vm.extreme = vm.lowest = vm.highest = vm.balloon;
    }
    vm.lowest = std::min(vm.lowest, vm.balloon);
    vm.highest = std::max(vm.highest, vm.balloon);
    result_->amplitude = std::max(result_->amplitude, vm.highest - vm.lowest);
    const double way = vm.balloon - vm.extreme;
    if (way * vm.direction > 0) {
      vm.extreme = vm.balloon;
    } else if (std::abs(way) > kTurn) {
      if (vm.direction != 0) ++result_->reversals;
      vm.direction = way > 0 ? 1 : -1;
      vm.extreme = vm.balloon;
    }
  }

  if (demand.is_suspended || world.trace(index).is_exempt) return;
  NoteReaction(IsShort(guest, demand), step, &vm.short_since);
  result_->up_time += dt_;
  result_->unmet += guest.unmet() * dt_;
  if (guest.unmet() > 0 ||
      (guest.missing_hot() > kHarmfulMiss && guest.up_time() > kSettling)) {
    result_->guest_pressure_time += dt_;
    result_->pressure_time_of[index] += dt_;
  }
}

void Observer::Observe(const World& world) {
  for (int vm = 0; vm < world.vms(); ++vm) ObserveVm(world, vm);
  result_->run_time += dt_;
  if (world.host().stall() > kHarmfulStall) result_->host_pressure_time += dt_;
  NoteReaction(world.host().stall() > 0, world.step() - 1, &host_short_since_);

  result_->kills = 0;
  result_->host_ooms = 0;
  result_->oom_deflations = 0;
  result_->exempt_deaths = 0;
  for (int vm = 0; vm < world.vms(); ++vm) {
    const Guest& guest = world.guest(vm);
    if (world.trace(vm).is_exempt) {
      result_->exempt_deaths += guest.kills() + world.host_ooms_of(vm);
      continue;
    }
    result_->kills += guest.kills();
    result_->host_ooms += world.host_ooms_of(vm);
    result_->oom_deflations += guest.oom_deflations();
  }
}

void Observer::Finish(const World& world) {
  for (Vm& vm : vms_) NoteReaction(false, world.step(), &vm.short_since);
  NoteReaction(false, world.step(), &host_short_since_);
}

}  // namespace vmsilo::balloond::sim
