#include "balloond/sim/rivals/qmemman.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/rivals/rival.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr double kCacheFactor = 1.3;
constexpr int64_t kLeastPreferred = 200 * kMebibyte;
constexpr int64_t kHostBoost = 350 * kMebibyte;
// A domain gives a little less than asked, so a little more is asked.
constexpr double kSafety = 1.05;
// Against rounding up.
constexpr double kRounding = 0.999;
// Less surplus is not worth another attempt.
constexpr int64_t kLeastGift = 10 * kMebibyte;

constexpr char kHost[] = "0";

int64_t Scaled(double factor, double amount) {
  return static_cast<int64_t>(factor * amount);
}

}  // namespace

int64_t QubesAlgorithm::Preferred(const XenDomain& domain) {
  const double used = static_cast<double>(*domain.used) * kCacheFactor;
  if (domain.id == kHost) {
    return std::min(static_cast<int64_t>(used + kHostBoost), domain.maximum);
  }
  return std::max(std::min(static_cast<int64_t>(used), domain.maximum),
                  kLeastPreferred);
}

int64_t QubesAlgorithm::Needed(const XenDomain& domain) {
  return Preferred(domain) - domain.actual;
}

std::vector<XenTarget> QubesAlgorithm::Free(
    int64_t wanted, const std::vector<XenDomain>& domains) const {
  int64_t available = 0;
  for (const XenDomain& domain : domains) {
    if (!domain.used.has_value() || domain.has_no_progress) continue;
    available += std::max<int64_t>(0, -Needed(domain));
  }
  std::vector<XenTarget> targets;
  if (available < wanted) return targets;
  const double share =
      static_cast<double>(wanted) / static_cast<double>(available);
  for (const XenDomain& domain : domains) {
    if (!domain.used.has_value() || domain.has_no_progress) continue;
    const auto spare = static_cast<double>(-Needed(domain));
    if (spare <= 0) continue;
    targets.push_back(
        {domain.id, static_cast<int64_t>(static_cast<double>(domain.actual) -
                                         spare * share * kSafety)});
  }
  return targets;
}

std::vector<XenTarget> QubesAlgorithm::Balance(
    int64_t free, const std::vector<XenDomain>& domains) const {
  std::vector<const XenDomain*> counted;
  int64_t needed = 0;
  int64_t preferred = 0;
  for (const XenDomain& domain : domains) {
    if (!domain.used.has_value() || domain.has_no_progress) continue;
    counted.push_back(&domain);
    needed += Needed(domain);
    preferred += Preferred(domain);
  }
  return free > needed ? ShareEnough(free - needed, preferred, counted)
                       : ShareWant(free, counted);
}

std::vector<XenTarget> QubesAlgorithm::ShareEnough(
    int64_t surplus, int64_t preferred,
    const std::vector<const XenDomain*>& domains) const {
  std::vector<int64_t> targets;
  int64_t left = 0;  // beyond what domains can take
  int64_t takers = 0;
  for (const XenDomain* domain : domains) {
    const auto own = static_cast<double>(Preferred(*domain));
    int64_t target =
        Scaled(kRounding, own + own / static_cast<double>(preferred) *
                                    static_cast<double>(surplus));
    if (target > domain->maximum) {
      left += target - domain->maximum;
      target = domain->maximum;
    } else {
      ++takers;
    }
    targets.push_back(target);
  }
  while (left > 0 && takers > 0) {
    const int64_t bonus = Scaled(
        kRounding, static_cast<double>(left) / static_cast<double>(takers));
    left = 0;
    for (size_t i = 0; i < domains.size(); ++i) {
      if (targets[i] >= domains[i]->maximum) continue;
      targets[i] += bonus;
      if (targets[i] < domains[i]->maximum) continue;
      left += targets[i] - domains[i]->maximum;
      targets[i] = domains[i]->maximum;
      --takers;
    }
  }
  std::vector<XenTarget> giving;
  std::vector<XenTarget> taking;
  for (size_t i = 0; i < domains.size(); ++i) {
    (targets[i] < domains[i]->actual ? giving : taking)
        .push_back({domains[i]->id, targets[i]});
  }
  giving.insert(giving.end(), taking.begin(), taking.end());
  return giving;
}

std::vector<XenTarget> QubesAlgorithm::ShareWant(
    int64_t free, const std::vector<const XenDomain*>& domains) const {
  std::vector<XenTarget> targets;
  std::vector<const XenDomain*> takers;
  double preferred = 0;  // by those who take
  int64_t squeezed = free;
  for (const XenDomain* domain : domains) {
    if (Needed(*domain) >= 0 && domain->actual < domain->maximum) {
      takers.push_back(domain);
      preferred += static_cast<double>(Preferred(*domain));
      continue;
    }
    const int64_t gift = -Needed(*domain);
    if (gift < kLeastGift) continue;
    squeezed += has_sign_quirk_ ? -gift : gift;
    targets.push_back({domain->id, Preferred(*domain)});
  }
  if (squeezed < 0) return targets;
  for (const XenDomain* domain : takers) {
    const double share = static_cast<double>(Preferred(*domain)) / preferred;
    const int64_t target =
        Scaled(kRounding, static_cast<double>(domain->actual) +
                              share * static_cast<double>(squeezed));
    targets.push_back({domain->id, std::min(target, domain->maximum)});
  }
  return targets;
}

namespace {

// What is kept free; how much of it must be there before somebody grows.
constexpr int64_t kKeptFree = 50 * kMebibyte;
constexpr int64_t kKeptFreeAtLeast = kKeptFree / 10 * 9;
// Qubes OS starts Xen so that the host gets no more; here it gets what it
// prefers, as it cannot be kept from taking it.
constexpr int64_t kHostMost = 4096 * kMebibyte;
// A move of less is no reason to balance, nor are all together.
constexpr int64_t kLeastMove = 15 * kMebibyte;
constexpr int64_t kLeastMoves = 150 * kMebibyte;
// Of what is used: less of a change is not reported.
constexpr int64_t kReport = 30000 * 1024;
constexpr absl::Duration kTick = absl::Milliseconds(100);
// So often, a tick apart, a receiver waits for donors.
constexpr int kTries = 5;

class Qmemman : public Rival, public SelfReporting {
 public:
  explicit Qmemman(const World* world) : Rival(kTick), world_(*world) {}

  // Nobody is asked: guests report by themselves.
  std::vector<VmId> Begin(const HostReading& host, absl::Time now) override {
    (void)Rival::Begin(host, now);
    return {};
  }
  int64_t reports() const override { return reports_; }

 protected:
  void Judge(const HostReading& host) override;
  void Gone(VmId vm) override {
    domains_.erase(vm);
    pending_.clear();
  }

 private:
  struct Domain {
    XenDomain xen;
    std::optional<int64_t> reported;
  };

  // Whether there is a new report.
  bool CollectReports(const HostReading& host);
  void Refresh(const HostReading& host);
  int64_t FreeMemory() const;
  void Balance();
  bool IsSignificant(const std::vector<XenTarget>& targets, int64_t free);
  // Goes on with what was decided; whether that was the end of it.
  void Carry();
  void FlagLaggards();
  XenDomain* Find(const std::string& id);
  void SetTarget(XenDomain* domain, int64_t target);

  const World& world_;
  std::map<VmId, Domain> domains_;
  XenDomain host_ = {.id = kHost};
  std::optional<int64_t> host_reported_;
  int64_t total_ = 0;
  int64_t reports_ = 0;
  bool is_due_ = false;
  // What is left to do of the last balance.
  std::vector<XenTarget> pending_;
  std::vector<XenTarget> done_;
  std::map<std::string, int64_t> actual_before_;
  int tries_ = 0;
};

XenDomain* Qmemman::Find(const std::string& id) {
  if (id == kHost) return &host_;
  for (auto& [vm, domain] : domains_) {
    if (domain.xen.id == id) return &domain.xen;
  }
  return nullptr;
}

bool Qmemman::CollectReports(const HostReading& host) {
  bool is_any = false;
  int64_t resident = 0;
  for (const auto& [vm, bytes] : host.resident) resident += bytes;
  const int64_t host_used = host.total - host.available - resident;
  if (!host_reported_.has_value() ||
      std::abs(host_used - *host_reported_) > kReport) {
    host_reported_ = host_used;
    is_any = true;
  }
  host_.used = *host_reported_;
  for (Vm& vm : vms()) {
    for (int i = 0; i < world_.vms(); ++i) {
      if (world_.trace(i).name != vm.traits.name) continue;
      Domain& domain = domains_[vm.id];
      // The balloon's size is the hypervisor's knowledge.
      GuestSample sample = world_.Sample(i, absl::Time());
      domain.xen.current = *sample.memory - sample.balloon;
      vm.sample = sample;
      if (!world_.trace(i).has_driver || world_.is_suspended(i)) break;
      const int64_t total = *sample.memory - sample.balloon;
      const int64_t used = total - *sample.free - *sample.caches;
      const int64_t growth = used - domain.reported.value_or(0);
      // Guests that are nearly full report earlier when they grow.
      const bool is_nearly_full = used / 10 > (total + 12 * 1024) / 13;
      if (!domain.reported.has_value() || std::abs(growth) > kReport ||
          (is_nearly_full && growth > kReport / 2)) {
        domain.reported = used;
        domain.xen.used = used;
        ++reports_;
        is_any = true;
      }
      break;
    }
  }
  return is_any;
}

void Qmemman::Refresh(const HostReading& host) {
  total_ = host.total;
  int64_t assigned = 0;
  for (Vm& vm : vms()) {
    XenDomain& domain = domains_[vm.id].xen;
    if (domain.id.empty()) {
      domain.id = absl::StrCat(vm.id);
      domain.maximum = vm.memory();
      domain.last_target = domain.current;
    }
    domain.actual = std::max(domain.current, domain.last_target);
    assigned += domain.current;
  }
  host_.maximum = std::max(
      kHostMost,
      static_cast<int64_t>(kCacheFactor * static_cast<double>(*host_.used)) +
          kHostBoost);
  if (host_.last_target == 0) {
    host_.last_target =
        std::min(host_.maximum, host.total - assigned - kKeptFree);
  }
  // It obeys at once, as far as it can.
  host_.current = std::max(host_.last_target, *host_.used);
  host_.actual = host_.current;
}

int64_t Qmemman::FreeMemory() const {
  int64_t free = total_ - host_.current;
  for (const auto& [vm, domain] : domains_) {
    free -= std::max(domain.xen.current, domain.xen.last_target);
  }
  return free;
}

void Qmemman::SetTarget(XenDomain* domain, int64_t target) {
  domain->last_target = target;
  domain->actual = std::max(domain->current, target);
  if (domain == &host_) {
    host_.current = std::max(target, *host_.used);
    return;
  }
  for (Vm& vm : vms()) {
    if (absl::StrCat(vm.id) == domain->id) Set(vm, vm.memory() - target);
  }
}

bool Qmemman::IsSignificant(const std::vector<XenTarget>& targets,
                            int64_t free) {
  if (kKeptFree - free > kLeastMove) return true;
  int64_t moves = std::abs(free - kKeptFree);
  for (const XenTarget& target : targets) {
    const XenDomain& domain = *Find(target.domain);
    const int64_t change = target.target - domain.last_target;
    moves += std::abs(change);
    if (domain.last_target > 0 && change > kLeastMove &&
        domain.last_target < QubesAlgorithm::Preferred(domain)) {
      return true;
    }
  }
  return moves > kLeastMoves;
}

void Qmemman::Balance() {
  std::vector<XenDomain> domains = {host_};
  for (auto& [vm, domain] : domains_) {
    XenDomain& xen = domain.xen;
    // Who has done what was asked, or needs more, counts again.
    if (xen.used.has_value() &&
        (xen.actual <= xen.last_target + kKeptFree / 2 ||
         xen.actual < QubesAlgorithm::Preferred(xen))) {
      xen.has_no_progress = false;
    }
    domains.push_back(xen);
  }
  const int64_t free = FreeMemory();
  std::vector<XenTarget> targets =
      QubesAlgorithm().Balance(free - kKeptFree, domains);
  if (!IsSignificant(targets, free)) return;
  actual_before_.clear();
  for (const XenDomain& domain : domains) {
    actual_before_[domain.id] = domain.actual;
  }
  pending_ = std::move(targets);
  done_.clear();
  tries_ = kTries;
}

void Qmemman::FlagLaggards() {
  for (const XenTarget& target : done_) {
    XenDomain* domain = Find(target.domain);
    if (domain == nullptr || domain == &host_) continue;
    domain->has_no_progress =
        domain->actual > domain->last_target + kKeptFree / 4 &&
        domain->actual == actual_before_[domain->id];
  }
}

void Qmemman::Carry() {
  while (!pending_.empty()) {
    const XenTarget target = pending_.front();
    XenDomain* domain = Find(target.domain);
    if (domain == nullptr) {
      pending_.clear();
      return;
    }
    const int64_t free = FreeMemory();
    const int64_t growth = target.target - domain->actual;
    // Who gives need not wait: on Xen there is always some free memory, here
    // guests may begin with more than there is.
    if (growth > 0 && free - growth < kKeptFreeAtLeast) {
      if (tries_-- > 0) return;
      FlagLaggards();
      SetTarget(domain, std::clamp(free + domain->actual - kKeptFree,
                                   domain->actual, domain->maximum));
      pending_.clear();
      return;
    }
    SetTarget(domain, target.target);
    done_.push_back(target);
    pending_.erase(pending_.begin());
    tries_ = kTries;
  }
}

void Qmemman::Judge(const HostReading& host) {
  if (CollectReports(host)) is_due_ = true;
  Refresh(host);
  // One at a time: the daemon waits within a balance.
  if (pending_.empty() && is_due_) {
    is_due_ = false;
    Balance();
  }
  Carry();
}

}  // namespace

std::unique_ptr<Controller> MakeQmemman(const PolicyContext& context) {
  return std::make_unique<Qmemman>(context.world);
}

}  // namespace vmsilo::balloond::sim
