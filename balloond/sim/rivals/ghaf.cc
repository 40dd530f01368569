#include "balloond/sim/rivals/ghaf.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/rivals/rival.h"

namespace vmsilo::balloond::sim {
namespace {

// Percent of what a guest has.
constexpr int64_t kLow = 75;
constexpr int64_t kHigh = 85;
constexpr absl::Duration kEvery = absl::Seconds(3);
constexpr absl::Duration kAfterMove = absl::Seconds(1);
// As its configuration has it for small guests.
constexpr int64_t kMinimum = int64_t{512} << 20;
constexpr int kMostErrors = 5;

class Ghaf : public Rival {
 public:
  Ghaf() : Rival(kEvery) {}

 protected:
  void Judge(const HostReading& host) override;
  void Gone(VmId vm) override { known_.erase(vm); }

 private:
  struct Known {
    absl::Time taken = absl::InfinitePast();
    int64_t balloon = 0;
    int errors = 0;
  };
  std::map<VmId, Known> known_;
};

void Ghaf::Judge(const HostReading& host) {
  // The hypervisor's event of a balloon that has moved brings the next look
  // forward.
  bool has_moved = false;
  bool has_error = false;
  int64_t there_is = host.available;
  int64_t preferred = 0;
  int64_t minimum = 0;
  std::vector<int64_t> wanted;
  for (Vm& vm : vms()) {
    Known& known = known_[vm.id];
    if (known.errors >= kMostErrors) {  // was dropped for good
      wanted.push_back(0);
      continue;
    }
    if (!vm.is_fresh) {
      ++known.errors;
      has_error = true;
      wanted.push_back(0);
      continue;
    }
    known.errors = 0;
    GhafGuest guest = {.minimum = std::min(kMinimum, vm.memory()),
                       .maximum = vm.memory(),
                       .current = vm.memory() - vm.sample->balloon,
                       .available = vm.sample->available.value_or(0)};
    const bool is_new = vm.sample->taken > known.taken;
    known.taken = vm.sample->taken;
    has_moved |= vm.sample->balloon != known.balloon;
    known.balloon = vm.sample->balloon;
    wanted.push_back(is_new ? GhafPreferred(guest) : guest.current);
    there_is += guest.current;
    preferred += wanted.back();
    minimum += guest.minimum;
  }
  set_interval(has_moved ? kAfterMove : kEvery);
  // One guest's error is everybody's.
  if (has_error) return;
  const double scale = GhafScale(there_is, preferred, minimum);
  bool is_any = false;
  for (size_t i = 0; i < vms().size(); ++i) {
    Vm& vm = vms()[i];
    if (!vm.is_fresh || wanted[i] == 0) continue;
    const int64_t least = std::min(kMinimum, vm.memory());
    const int64_t size =
        least +
        static_cast<int64_t>(static_cast<double>(wanted[i] - least) * scale);
    if (size == vm.memory() - vm.sample->balloon) continue;
    Set(vm, vm.memory() - size);
    is_any = true;
  }
  if (is_any) set_interval(kAfterMove);
}

}  // namespace

int64_t GhafPreferred(const GhafGuest& guest) {
  if (guest.current <= 0 || guest.available > guest.current) {
    return guest.current;
  }
  const int64_t reserved = guest.current - guest.available;
  // Rounded.
  const int64_t pressure =
      (201 * guest.current - 200 * guest.available) / guest.current / 2;
  int64_t size = guest.current;
  if (pressure < kLow) {
    size = reserved * 100 / kLow;
  } else if (pressure > kHigh) {
    size = reserved * 100 / (kHigh - 2);
  } else {
    return size;
  }
  return std::clamp(size, guest.minimum, guest.maximum);
}

double GhafScale(int64_t there_is, int64_t preferred, int64_t minimum) {
  if (preferred <= there_is) return 1;
  if (preferred == minimum || there_is <= minimum) return 0;
  return static_cast<double>(there_is - minimum) /
         static_cast<double>(preferred - minimum);
}

std::unique_ptr<Controller> MakeGhaf() { return std::make_unique<Ghaf>(); }

}  // namespace vmsilo::balloond::sim
