#include "balloond/sim/rivals/baselines.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/rivals/rival.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {
namespace {

class NoPolicy : public Rival {
 public:
  NoPolicy() : Rival(absl::InfiniteDuration()) {}

  absl::Time NextRound() const override { return absl::InfiniteFuture(); }

 protected:
  void Judge(const HostReading& /*host*/) override {}
};

class StaticSplit : public Rival {
 public:
  StaticSplit() : Rival(absl::InfiniteDuration()) {}

  std::vector<VmId> Begin(const HostReading& host, absl::Time now) override {
    (void)Rival::Begin(host, now);
    return {};
  }

 protected:
  void Judge(const HostReading& host) override {
    if (vms().empty()) return;
    if (share_ == 0) {
      share_ = host.available - host.total / 20;
      for (const auto& [vm, resident] : host.resident) share_ += resident;
    }
    const auto count = static_cast<int64_t>(vms().size());
    for (Vm& vm : vms()) Set(vm, vm.memory() - share_ / count);
  }
  void Appeared(const Vm& /*vm*/) override { HasteNextRound(); }
  void Gone(VmId /*vm*/) override { HasteNextRound(); }

 private:
  int64_t share_ = 0;  // of all together
};

constexpr double kForesight = 6;  // seconds
// MiB beyond what is needed: a step's growth, and what rounding takes.
constexpr double kMargin = 48;
// Changes of less are not worth a message.
constexpr double kDeadBand = 24;

class Oracle : public Rival {
 public:
  explicit Oracle(const World* world)
      : Rival(absl::Milliseconds(100)), world_(*world) {}

  std::vector<VmId> Begin(const HostReading& host, absl::Time now) override {
    (void)Rival::Begin(host, now);
    return {};
  }

 protected:
  void Judge(const HostReading& /*host*/) override {
    for (int i = 0; i < world_.vms(); ++i) {
      for (Vm& vm : vms()) {
        if (vm.traits.name != world_.trace(i).name) continue;
        const double memory = world_.guest(i).memory();
        const double balloon = std::clamp(memory - NeededSoon(i), 0.0, memory);
        if (std::abs(balloon - ToMiB(vm.target.value_or(0))) > kDeadBand) {
          Set(vm, ToBytes(balloon));
        }
        break;
      }
    }
  }

 private:
  double NeededSoon(int vm) const {
    const Timeline& timeline = world_.timeline();
    const int last = std::min(
        timeline.steps() - 1,
        world_.step() + static_cast<int>(kForesight / timeline.step_seconds()));
    double most = 0;
    for (int step = world_.step(); step <= last; ++step) {
      const Demand& demand = timeline.at(step, vm);
      most = std::max(most, demand.anon + demand.hot);
    }
    return Guest::kKernel + most + 2 * world_.guest(vm).watermark() + kMargin;
  }

  const World& world_;
};

}  // namespace

std::unique_ptr<Controller> MakeNoPolicy() {
  return std::make_unique<NoPolicy>();
}

std::unique_ptr<Controller> MakeStaticSplit() {
  return std::make_unique<StaticSplit>();
}

std::unique_ptr<Controller> MakeOracle(const PolicyContext& context) {
  return std::make_unique<Oracle>(context.world);
}

}  // namespace vmsilo::balloond::sim
