#include "balloond/sim/rivals/mom.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/rivals/rival.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kPressure = 0.20;
constexpr double kCritical = 0.05;
constexpr double kGuestFree = 0.20;
constexpr double kMostChange = 0.05;
constexpr double kLeastChange = 0.0025;
constexpr size_t kSamples = 10;
// As an administrator would choose it; there is no default.
constexpr double kMinimum = 512.0 * (1 << 20);

class Mean {
 public:
  void Add(double value) {
    values_.push_back(value);
    if (values_.size() > kSamples) values_.pop_front();
  }
  double value() const {
    double sum = 0;
    for (const double value : values_) sum += value;
    return values_.empty() ? 0 : sum / static_cast<double>(values_.size());
  }

 private:
  std::deque<double> values_;
};

class Mom : public Rival {
 public:
  Mom() : Rival(absl::Seconds(5)) {}

 protected:
  void Judge(const HostReading& host) override;
  void Gone(VmId vm) override { means_.erase(vm); }

 private:
  struct Means {
    Mean current;
    Mean free;
  };
  Mean host_free_;
  std::map<VmId, Means> means_;
  bool is_second_ = false;
};

void Mom::Judge(const HostReading& host) {
  // The original adds page cache to free memory. Where guests' memory is
  // counted as page cache that is wrong; this is what is meant.
  host_free_.Add(static_cast<double>(host.available));
  for (const Vm& vm : vms()) {
    if (!vm.is_fresh) continue;
    Means& means = means_[vm.id];
    means.current.Add(static_cast<double>(vm.memory() - vm.sample->balloon));
    means.free.Add(static_cast<double>(vm.sample->free.value_or(0)));
  }
  is_second_ = !is_second_;
  if (is_second_) return;
  const double free = host_free_.value() / static_cast<double>(host.total);
  for (Vm& vm : vms()) {
    if (!vm.is_fresh) continue;
    const Means& means = means_[vm.id];
    const std::optional<double> size = SizeAsMom(
        {.minimum = kMinimum,
         .maximum = static_cast<double>(vm.memory()),
         .current = static_cast<double>(vm.memory() - vm.sample->balloon),
         .mean_current = means.current.value(),
         .mean_free = means.free.value()},
        free);
    if (size.has_value()) {
      Set(vm, vm.memory() - static_cast<int64_t>(*size));
    }
  }
}

}  // namespace

std::optional<double> SizeAsMom(const MomGuest& guest, double host_free) {
  const double used = guest.mean_current - guest.mean_free;
  double size = 0;
  if (host_free < kPressure) {
    const double keep = host_free <= kCritical
                            ? host_free - kCritical
                            : kGuestFree * host_free / kPressure;
    size = std::max((1 - kMostChange) * guest.current,
                    std::max(guest.minimum, used + keep * guest.current));
    if (size > guest.current) return std::nullopt;
  } else {
    if (guest.current >= guest.maximum) return std::nullopt;
    size = std::min(guest.maximum, std::max((1 + kMostChange) * guest.current,
                                            used + kGuestFree * guest.current));
  }
  if (std::abs(size - guest.current) <= kLeastChange * guest.current) {
    return std::nullopt;
  }
  return size;
}

std::unique_ptr<Controller> MakeMom() { return std::make_unique<Mom>(); }

}  // namespace vmsilo::balloond::sim
