#include "balloond/sim/rivals/chromeos.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "absl/time/time.h"
#include "balloond/controller.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
// How far the other side may be pushed below its critical amount.
constexpr int64_t kSlack = 10 * kMiB;

// Of the prototype.
constexpr absl::Duration kCalmInterval = absl::Seconds(2);
constexpr absl::Duration kFastInterval = absl::Milliseconds(250);
constexpr double kFastest = 20;  // percent of pressure

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
  int64_t host_available = host.available;
  for (Vm& vm : vms()) {
    if (!vm.is_fresh) continue;
    BalanceAvailable& balance =
        balances_.try_emplace(vm.id, constants_.critical_guest, constants_.bias)
            .first->second;
    int64_t change = balance.Change(*vm.sample, host_available, host_critical);
    if (constants_.is_prototype) {
      const int64_t most =
          vm.sample->available.value_or(0) - constants_.critical_guest;
      change = std::min(change, std::max<int64_t>(0, most));
      host_available += change;
    }
    if (change != 0) Set(vm, vm.sample->balloon + change);
  }
  if (constants_.is_prototype) {
    set_interval(kCalmInterval - (kCalmInterval - kFastInterval) *
                                     std::min(1.0, host.pressure / kFastest));
  }
}

}  // namespace vmsilo::balloond::sim
