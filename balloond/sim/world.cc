#include "balloond/sim/world.h"

#include <algorithm>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/host.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kDownAfterOom = 10;
// What a kernel keeps of its RAM before it counts it.
constexpr double kReservedAtBoot = 64;

}  // namespace

World::World(const Timeline& timeline, const WorldOptions& options)
    : timeline_(timeline),
      options_(options),
      dt_(timeline.step_seconds()),
      host_(options.host),
      is_on_(timeline.vms(), false),
      down_until_(timeline.vms(), 0),
      host_ooms_of_(timeline.vms(), 0) {
  guests_.reserve(timeline.vms());
  for (const VmTrace& vm : timeline.trace().vms) {
    guests_.emplace_back(vm.memory, vm.uses.empty() ? 0 : vm.uses.front().anon);
  }
}

void World::StartAndStop() {
  for (int vm = 0; vm < vms(); ++vm) {
    const bool is_on =
        timeline_.at(step_, vm).is_on && time() >= down_until_[vm] - dt_ / 2;
    if (is_on == is_on_[vm]) continue;
    if (is_on) guests_[vm].Boot();
    is_on_[vm] = is_on;
  }
}

void World::Step() {
  double resident = 0;
  for (int vm = 0; vm < vms(); ++vm) {
    if (!is_on_[vm]) continue;
    Guest& guest = guests_[vm];
    if (time() >= trace(vm).frozen_from) guest.Freeze();
    const Demand& demand = timeline_.at(step_, vm);
    if (!demand.is_suspended) guest.Step(demand, dt_, options_.guest);
    resident += guest.occupied();
  }
  host_.Step(timeline_.host(step_), resident, dt_);
  if (host_.is_out_of_memory()) {
    int largest = -1;
    for (int vm = 0; vm < vms(); ++vm) {
      if (is_on_[vm] && (largest < 0 || guests_[vm].occupied() >
                                            guests_[largest].occupied())) {
        largest = vm;
      }
    }
    if (largest >= 0) {
      is_on_[largest] = false;
      down_until_[largest] = time() + kDownAfterOom;
      ++host_ooms_;
      ++host_ooms_of_[largest];
    }
  }
  ++step_;
}

GuestSample World::Sample(int vm, absl::Time now) const {
  const Guest& guest = guests_[vm];
  GuestSample sample = {
      .balloon = ToBytes(guest.balloon()),
      .memory = ToBytes(guest.memory()),
      .free = ToBytes(guest.free()),
      .caches = ToBytes(guest.cache()),
      .available = ToBytes(guest.available()),
      .total = ToBytes(guest.memory() - kReservedAtBoot),
      .oom_kills = guest.kills(),
      .taken = now,
  };
  switch (trace(vm).lie) {
    case Lie::kNone:
      break;
    case Lie::kPoor:
      sample.free = 0;
      sample.caches = 0;
      sample.available = 0;
      break;
    case Lie::kRich:
      sample.free = ToBytes(guest.memory() - guest.balloon());
      sample.caches = 0;
      sample.available = sample.free;
      break;
  }
  return sample;
}

void World::SetTarget(int vm, double balloon) {
  guests_[vm].set_target(std::clamp(balloon, 0.0, guests_[vm].memory()));
}

}  // namespace vmsilo::balloond::sim
