#include "balloond/sim/run.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/host.h"
#include "balloond/sim/observer.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/result.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {
namespace {

// An answer has this long, beyond the time that one takes.
constexpr absl::Duration kDeadline = absl::Seconds(1);
constexpr double kTriggerWindow = 0.5;

WorldOptions WorldOptionsOf(const Policy& policy, const RunOptions& options) {
  WorldOptions world = options.world;
  world.guest.reports_free_pages |= policy.needs_free_page_reporting;
  return world;
}

// Plays the daemon: between a controller, which sees what a daemon sees, and
// the world.
class Driver {
 public:
  Driver(const Timeline& timeline, const Policy& policy,
         const RunOptions& options)
      : options_(options),
        policy_(policy),
        world_(timeline, WorldOptionsOf(policy, options)),
        // As the daemon sets it: half of the pressure at which it is to be
        // fastest.
        trigger_(kTriggerWindow * options.settings.psi_ceiling / 200,
                 kTriggerWindow),
        observer_(timeline, &result_),
        vms_(timeline.vms()) {}

  RunResult Run(const Watcher& watcher);

 private:
  struct Vm {
    bool is_known = false;
    VmId id = 0;
    GuestSample renewed;  // where statistics are renewed now and then
    // In the round.
    bool is_asked = false;
    bool has_answer = false;
    absl::Time answer_at;
    GuestSample answer;
  };

  absl::Time now() const {
    return RunStart() +
           absl::Microseconds(world_.timeline().step_usec() * world_.step());
  }
  void StartAndStopDaemon();
  // Of a controller that is about to go.
  void CountReports();
  void TellOfVms();
  void RenewSamples();
  void Work();
  void BeginRound();
  // Whether the round has ended by it.
  bool ContinueRound();
  void DeliverAnswers();
  void Carry(const std::vector<Resize>& resizes);
  void ReadHost();
  int IndexOf(VmId id) const;
  bool IsHopeless() const;

  const RunOptions& options_;
  const Policy& policy_;
  World world_;
  PressureTrigger trigger_;
  RunResult result_;
  Observer observer_;
  std::unique_ptr<Controller> controller_;
  std::vector<Vm> vms_;
  VmId next_id_ = 1;
  bool is_in_round_ = false;
  HostReading reading_;
  double read_at_ = 0;
  double pressure_at_read_ = 0;
};

int Driver::IndexOf(VmId id) const {
  for (size_t i = 0; i < vms_.size(); ++i) {
    if (vms_[i].is_known && vms_[i].id == id) return static_cast<int>(i);
  }
  return -1;
}

void Driver::StartAndStopDaemon() {
  bool is_down = false;
  for (const Span& span : world_.timeline().trace().daemon_down) {
    is_down |= world_.time() >= span.from && world_.time() < span.to;
  }
  if (is_down == (controller_ == nullptr)) return;
  is_in_round_ = false;
  CountReports();
  if (is_down) {
    controller_ = nullptr;
  } else {
    controller_ =
        policy_.make({.settings = options_.settings, .world = &world_});
  }
  for (Vm& vm : vms_) vm.is_known = false;
  reading_ = {};
}

void Driver::CountReports() {
  if (const auto* reporting =
          dynamic_cast<const SelfReporting*>(controller_.get())) {
    result_.samples += reporting->reports();
  }
}

void Driver::TellOfVms() {
  for (int i = 0; i < world_.vms(); ++i) {
    Vm& vm = vms_[i];
    if (vm.is_known == world_.is_on(i)) continue;
    vm.is_known = world_.is_on(i);
    if (vm.is_known) {
      vm.id = next_id_++;
      vm.is_asked = false;
      vm.renewed = world_.Sample(i, now());
      VmTraits traits = {.name = world_.trace(i).name,
                         .memory = ToBytes(world_.trace(i).memory),
                         .min_sample_interval = options_.renewal};
      controller_->AddVm(vm.id, traits, now());
    } else {
      vm.is_asked = false;
      reading_.resident.erase(vm.id);
      controller_->RemoveVm(vm.id, now());
    }
  }
}

void Driver::RenewSamples() {
  if (options_.renewal == absl::ZeroDuration()) return;
  const auto every =
      std::max<int64_t>(1, absl::ToInt64Microseconds(options_.renewal) /
                               world_.timeline().step_usec());
  for (int i = 0; i < world_.vms(); ++i) {
    // Not all at once: each since its own boot.
    if (vms_[i].is_known && !world_.is_suspended(i) &&
        (world_.step() + 3 * i) % every == 0) {
      vms_[i].renewed = world_.Sample(i, now());
    }
  }
}

void Driver::ReadHost() {
  const Host& host = world_.host();
  ++result_.host_reads;
  reading_.total = ToBytes(host.memory());
  reading_.available = ToBytes(std::max(0.0, host.available()));
  reading_.free = ToBytes(std::max(0.0, host.free()));
  const double elapsed = world_.time() - read_at_;
  if (elapsed > 0) {
    reading_.pressure =
        std::max(host.pressure_avg10(),
                 100 * (host.pressure_total() - pressure_at_read_) / elapsed);
    read_at_ = world_.time();
    pressure_at_read_ = host.pressure_total();
  }
  for (int i = 0; i < world_.vms(); ++i) {
    if (vms_[i].is_known) {
      reading_.resident[vms_[i].id] = ToBytes(world_.guest(i).occupied());
    }
  }
}

void Driver::BeginRound() {
  ReadHost();
  ++result_.rounds;
  is_in_round_ = true;
  for (const VmId id : controller_->Begin(reading_, now())) {
    const int index = IndexOf(id);
    if (index < 0) continue;
    Vm& vm = vms_[index];
    vm.is_asked = true;
    ++result_.samples;
    const bool is_renewed = options_.renewal > absl::ZeroDuration();
    const bool is_silent = world_.is_suspended(index) && !is_renewed;
    vm.has_answer = world_.trace(index).has_driver && !is_silent;
    vm.answer_at = now() + options_.lag;
    if (is_silent) vm.answer_at += kDeadline;
    if (vm.has_answer) {
      vm.answer = is_renewed ? vm.renewed : world_.Sample(index, now());
    }
  }
}

bool Driver::ContinueRound() {
  DeliverAnswers();
  for (const Vm& vm : vms_) {
    if (vm.is_asked) return false;
  }
  is_in_round_ = false;
  ReadHost();
  Carry(controller_->Decide(reading_, now()));
  return true;
}

void Driver::Carry(const std::vector<Resize>& resizes) {
  for (const Resize& resize : resizes) {
    const int index = IndexOf(resize.vm);
    if (index < 0) continue;
    ++result_.sets;
    const bool is_ok = world_.trace(index).has_driver;
    if (is_ok) world_.SetTarget(index, ToMiB(resize.balloon));
    controller_->OnResized(resize.vm, is_ok, now());
  }
}

void Driver::DeliverAnswers() {
  for (Vm& vm : vms_) {
    if (!vm.is_asked || vm.answer_at > now()) continue;
    vm.is_asked = false;
    controller_->AddSample(vm.id,
                           vm.has_answer
                               ? absl::StatusOr<GuestSample>(vm.answer)
                               : absl::StatusOr<GuestSample>(
                                     absl::UnavailableError("no statistics")),
                           now());
  }
}

void Driver::Work() {
  if (!controller_->WaitsForSamples()) {
    DeliverAnswers();
    if (controller_->NextRound() > now()) return;
    BeginRound();
    DeliverAnswers();
    is_in_round_ = false;
    Carry(controller_->Decide(reading_, now()));
    return;
  }
  if (is_in_round_ && !ContinueRound()) return;
  if (controller_->NextRound() > now()) return;
  BeginRound();
  (void)ContinueRound();  // where answers take no time
}

bool Driver::IsHopeless() const {
  if (options_.stop_at_harm == nullptr) return false;
  const Criterion& criterion = *options_.stop_at_harm;
  if (result_.kills > 0 || result_.host_ooms > 0) return true;
  if (result_.oom_deflations > 0 && !criterion.allows_oom_deflation) {
    return true;
  }
  const double duration = world_.timeline().trace().duration;
  return result_.host_pressure_time > criterion.pressure * duration + 1e-9 ||
         result_.guest_pressure_time >
             criterion.pressure * duration * world_.vms() + 1e-9;
}

RunResult Driver::Run(const Watcher& watcher) {
  const Timeline& timeline = world_.timeline();
  for (int step = 0; step < timeline.steps(); ++step) {
    world_.StartAndStop();
    StartAndStopDaemon();
    if (controller_ != nullptr) {
      TellOfVms();
      RenewSamples();
      if (trigger_.Check(world_.time(), world_.host().pressure_total())) {
        controller_->Hurry(now());
      }
      Work();
    }
    world_.Step();
    observer_.Observe(world_);
    if (watcher) watcher(world_);
    if (IsHopeless()) break;
  }
  observer_.Finish(world_);
  CountReports();
  return result_;
}

}  // namespace

RunResult Simulate(const Timeline& timeline, const Policy& policy,
                   const RunOptions& options, const Watcher& watcher) {
  return Driver(timeline, policy, options).Run(watcher);
}

}  // namespace vmsilo::balloond::sim
