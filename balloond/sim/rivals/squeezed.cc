#include "balloond/sim/rivals/squeezed.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/rivals/rival.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr double kStuckAfter = 5;

}  // namespace

bool Squeezer::HasHitTarget(const SqueezedDomain& domain, int64_t target) {
  return std::abs(domain.actual - target) <= domain.inaccuracy;
}

int64_t Squeezer::Freeable(const SqueezedDomain& domain) const {
  const int64_t inaccuracy =
      faults_.ignores_inaccuracy ? 0 : 2 * domain.inaccuracy;
  return std::max<int64_t>(0, domain.actual - domain.minimum - inaccuracy);
}

void Squeezer::WatchProgress(const std::vector<SqueezedDomain>& domains,
                             double now) {
  for (const SqueezedDomain& domain : domains) {
    Progress& progress =
        progress_
            .try_emplace(domain.id, Progress{.last_actual = domain.actual,
                                             .last_time = now})
            .first->second;
    const int64_t moved = domain.actual - progress.last_actual;
    progress.last_actual = domain.actual;
    if (HasHitTarget(domain, domain.target)) continue;
    if (domain.target > domain.actual ? moved > 0 : moved < 0) {
      progress.last_time = now;
      progress.is_stuck = false;
    } else if (now - progress.last_time > kStuckAfter) {
      progress.is_stuck = true;
    }
  }
}

Squeezer::Result Squeezer::Iterate(
    const std::vector<SqueezedDomain>& domains, int64_t host_free,
    int64_t host_wanted, const std::function<bool(int64_t free)>& is_enough,
    double now) {
  WatchProgress(domains, now);
  Result result;
  std::vector<const SqueezedDomain*> active;
  int64_t surplus = host_free - host_wanted;
  int64_t range = 0;
  for (const SqueezedDomain& domain : domains) {
    Progress& progress = progress_[domain.id];
    const bool is_active = domain.can_balloon && !progress.is_stuck;
    if (is_active) {
      active.push_back(&domain);
      surplus += Freeable(domain);
      range += domain.maximum - domain.minimum;
    } else if (!progress.was_left_out) {
      result.confined[domain.id] =
          std::clamp(std::min(domain.target, domain.actual), domain.minimum,
                     domain.maximum);
    }
    progress.was_left_out = !is_active;
  }
  const double share =
      range > 0
          ? std::clamp(static_cast<double>(std::max<int64_t>(0, surplus)) /
                           static_cast<double>(range),
                       0.0, 1.0)
          : 0;

  std::map<int, int64_t> freeing;
  std::map<int, int64_t> taking;
  bool are_all_there = true;
  bool is_any_new = false;
  for (const SqueezedDomain* domain : active) {
    const int64_t target =
        domain->minimum +
        static_cast<int64_t>(
            share * static_cast<double>(domain->maximum - domain->minimum));
    const bool is_freeing =
        target < domain->actual && !HasHitTarget(*domain, target);
    (is_freeing ? freeing : taking)[domain->id] = target;
    are_all_there &= HasHitTarget(*domain, domain->target);
  }
  if (faults_.sets_all_at_once) {
    result.targets = freeing;
    result.targets.insert(taking.begin(), taking.end());
  } else {
    result.targets = freeing.empty() ? taking : freeing;
  }
  for (const SqueezedDomain* domain : active) {
    const auto target = result.targets.find(domain->id);
    is_any_new |=
        target != result.targets.end() && target->second != domain->target;
  }
  if (are_all_there && !is_any_new) {
    result.targets.clear();
    result.outcome =
        is_enough(host_free) ? Outcome::kSuccess : Outcome::kFailure;
  }
  return result;
}

namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr absl::Duration kEvery = absl::Seconds(10);
constexpr absl::Duration kBetween = absl::Seconds(1);
constexpr int64_t kSlush = 9 * kMebibyte;
// The balloon of a guest is as exact as its driver's steps.
constexpr int64_t kInaccuracy = kMebibyte;

class Squeezed : public Rival {
 public:
  Squeezed() : Rival(kEvery) {}

 protected:
  void Judge(const HostReading& host) override;
  void Appeared(const Vm& /*vm*/) override { HasteNextRound(); }

 private:
  std::optional<Squeezer> squeezer_;
  double now_ = 0;
};

void Squeezed::Judge(const HostReading& host) {
  // Xen knows what it has assigned, not what guests have touched.
  int64_t free = host.available;
  std::vector<SqueezedDomain> domains;
  for (const Vm& vm : vms()) {
    free += vm.resident.value_or(0);
    if (!vm.is_fresh) {
      // As large as it can be, for all that is known.
      free -= vm.memory() - (vm.sample.has_value() ? vm.sample->balloon : 0);
      continue;
    }
    const int64_t actual = vm.memory() - vm.sample->balloon;
    free -= actual;
    domains.push_back({.id = static_cast<int>(vm.id),
                       .minimum = vm.memory() / 4,
                       .target = vm.memory() - vm.target.value_or(0),
                       .maximum = vm.memory(),
                       .actual = actual,
                       .inaccuracy = kInaccuracy});
  }
  if (!squeezer_.has_value()) squeezer_.emplace();
  const int64_t reserve = host.total / 20;
  const Squeezer::Result result = squeezer_->Iterate(
      domains, free, reserve, [&](int64_t is) { return is - reserve < kSlush; },
      now_);
  for (Vm& vm : vms()) {
    const int id = static_cast<int>(vm.id);
    const auto target = result.targets.find(id);
    const auto confined = result.confined.find(id);
    if (confined != result.confined.end()) {
      Set(vm, vm.memory() - confined->second);
    } else if (target != result.targets.end()) {
      Set(vm, vm.memory() - target->second);
    }
  }
  if (result.outcome == Squeezer::Outcome::kGoOn) {
    set_interval(kBetween);
    now_ += absl::ToDoubleSeconds(kBetween);
  } else {
    set_interval(kEvery);
    squeezer_.reset();
  }
}

}  // namespace

std::unique_ptr<Controller> MakeSqueezed() {
  return std::make_unique<Squeezed>();
}

}  // namespace vmsilo::balloond::sim
