#include "balloond/sim/rivals/proxmox.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/rivals/rival.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;

using Sizes = std::map<int, int64_t>;

int64_t SizeOf(const ProxmoxVm& vm, const Sizes& sizes) {
  const auto size = sizes.find(vm.id);
  return size == sizes.end() ? vm.memory : size->second;
}

// Shares `goal` among some; returns what is left of it.
int64_t ShareAmong(const std::vector<const ProxmoxVm*>& vms, int64_t goal,
                   int64_t most, Sizes* sizes) {
  int64_t rest = goal;
  std::set<int> done;
  bool is_on = true;
  while (rest != 0 && is_on) {
    is_on = false;
    int64_t shares = 0;
    int64_t above = rest;  // what there is above the minima
    for (const ProxmoxVm* vm : vms) {
      if (done.count(vm->id) > 0) continue;
      above += SizeOf(*vm, *sizes) - vm->minimum;
      shares += vm->shares;
    }
    int64_t changes = 0;
    for (const ProxmoxVm* vm : vms) {
      if (done.count(vm->id) > 0) continue;
      const auto own = static_cast<int64_t>(static_cast<double>(above) /
                                            static_cast<double>(shares) *
                                            static_cast<double>(vm->shares));
      const int64_t wanted =
          std::clamp(vm->minimum + own, vm->minimum, vm->maximum);
      int64_t size = vm->memory;
      if (goal > 0 && wanted > vm->memory) {
        size = std::min(wanted, vm->memory + most);
      } else if (wanted < vm->memory) {
        size = std::max(wanted, vm->memory - most);
      } else {
        done.insert(vm->id);
        continue;
      }
      const int64_t change = size - SizeOf(*vm, *sizes);
      (*sizes)[vm->id] = size;
      changes += change;
      if (change != 0) is_on = true;
    }
    rest -= changes;
  }
  return rest;
}

}  // namespace

std::map<int, int64_t> ShareAsProxmox(const std::vector<ProxmoxVm>& vms,
                                      int64_t goal, int64_t most) {
  std::vector<const ProxmoxVm*> all;
  std::vector<const ProxmoxVm*> pressed;
  std::vector<const ProxmoxVm*> easy;
  for (const ProxmoxVm& vm : vms) {
    if (vm.shares == 0 || vm.memory == 0 || vm.minimum == 0) continue;
    all.push_back(&vm);
    const bool is_easy =
        static_cast<double>(vm.free) > static_cast<double>(vm.minimum) * 0.25 &&
        vm.memory >= vm.minimum;
    (is_easy ? easy : pressed).push_back(&vm);
  }
  Sizes sizes;
  if (goal > 10 * kMebibyte) {
    // All only if the first got nothing.
    const int64_t rest = ShareAmong(pressed, goal, most, &sizes);
    if (rest >= goal) (void)ShareAmong(all, rest, most, &sizes);
  } else if (goal < -10 * kMebibyte) {
    const int64_t rest = ShareAmong(easy, goal, most, &sizes);
    if (rest <= goal) (void)ShareAmong(all, rest, most, &sizes);
  }
  return sizes;
}

namespace {

// As its administrator would choose it; there is no default.
constexpr int64_t kMinimum = 512 * kMebibyte;
constexpr int64_t kMostChange = 100 * kMebibyte;

class Proxmox : public Rival {
 public:
  Proxmox() : Rival(absl::Seconds(10)) {}

 protected:
  void Judge(const HostReading& host) override {
    std::vector<ProxmoxVm> known;
    for (const Vm& vm : vms()) {
      if (!vm.is_fresh) continue;
      known.push_back({.id = static_cast<int>(vm.id),
                       .maximum = vm.memory(),
                       .minimum = std::min(kMinimum, vm.memory()),
                       .memory = vm.memory() - vm.sample->balloon,
                       .free = vm.sample->free.value_or(0)});
    }
    const int64_t used = host.total - host.available;
    const std::map<int, int64_t> sizes =
        ShareAsProxmox(known, host.total / 5 * 4 - used, kMostChange);
    for (Vm& vm : vms()) {
      const auto size = sizes.find(static_cast<int>(vm.id));
      if (size != sizes.end()) Set(vm, vm.memory() - size->second);
    }
  }
};

}  // namespace

std::unique_ptr<Controller> MakeProxmox() {
  return std::make_unique<Proxmox>();
}

}  // namespace vmsilo::balloond::sim
