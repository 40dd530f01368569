#include "balloond/sim/rivals/chromeos.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "balloond/controller.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
// How far the other side may be pushed below its critical amount.
constexpr int64_t kSlack = 10 * kMiB;

}  // namespace

int64_t BalanceAvailable::Change(const GuestSample& sample,
                                 int64_t host_available,
                                 int64_t host_critical) {
  const int64_t available = sample.free.value_or(0) + sample.caches.value_or(0);
  if (largest_balloon_ == 0) {
    largest_balloon_ = sample.total.value_or(0) * 3 / 4;
  }
  largest_balloon_ = std::max(largest_balloon_, sample.balloon);
  const int64_t filled =
      largest_balloon_ > 0 ? 100 * sample.balloon / largest_balloon_ : 0;
  if (last_.has_value() && available < critical_ && filled < 95 &&
      last_->available < critical_ && last_->filled < 95) {
    critical_ = last_->available;
  }
  last_ = {.available = available, .filled = filled};

  const int64_t guest = available - critical_ - bias_ * filled / 100;
  const int64_t host = host_available - host_critical;
  const int64_t wanted = (guest - host) / 2;
  const int64_t low = -(host + kSlack);
  const int64_t high = available - critical_ + kSlack;
  // The original clamps between bounds that may have changed places, which
  // the language leaves undefined; this is what its library makes of it.
  int64_t change = wanted;
  if (change < low) {
    change = low;
  } else if (high < change) {
    change = high;
  }
  const bool is_urgent = guest < kMiB || host < kMiB;
  if (!is_urgent && std::abs(wanted) * 100 / guest <= 1 &&
      std::abs(wanted) * 100 / host <= 1) {
    return 0;
  }
  return std::max(change, -sample.balloon);
}

void ChromeOs::Judge(const HostReading& host) {
  const auto host_critical = static_cast<int64_t>(
      static_cast<double>(host.total) * constants_.critical_host_percent / 100);
  for (Vm& vm : vms()) {
    if (!vm.is_fresh) continue;
    BalanceAvailable& balance =
        balances_.try_emplace(vm.id, constants_.critical_guest, constants_.bias)
            .first->second;
    const int64_t change =
        balance.Change(*vm.sample, host.available, host_critical);
    if (change != 0) Set(vm, vm.sample->balloon + change);
  }
}

}  // namespace vmsilo::balloond::sim
