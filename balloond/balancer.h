#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/policy.h"
#include "balloond/settings.h"
#include "balloond/stall.h"

namespace vmsilo::balloond {

// The largest balloon that a guest can live with, whoever wants it.
int64_t MostBalloon(int64_t memory, int64_t guaranteed);

enum class PolicyKind { kLevel, kCommitted };

std::unique_ptr<Policy> MakePolicy(PolicyKind kind);

// The daemon's controller: keeps what is known of each VM, sorts out samples
// that cannot be true, guests that do not follow and VMs that say nothing, and
// leaves to the policy how what remains is shared.
class Balancer final : public Controller {
 public:
  Balancer(const Settings& settings, std::unique_ptr<Policy> policy);

  void AddVm(VmId vm, const VmTraits& traits, absl::Time now) override;
  void UpdateVm(VmId vm, const VmTraits& traits, absl::Time now) override;
  void RemoveVm(VmId vm, absl::Time now) override;
  std::vector<VmId> Begin(const HostReading& host, absl::Time now) override;
  bool WaitsForSamples() const override { return policy_->WaitsForSamples(); }
  void AddSample(VmId vm, const absl::StatusOr<GuestSample>& sample,
                 absl::Time now) override;
  std::vector<Resize> Decide(const HostReading& host, absl::Time now) override;
  void OnResized(VmId vm, bool is_ok, absl::Time now) override;
  void Hurry(absl::Time now) override;
  absl::Time NextRound() const override { return next_round_; }
  std::optional<VmView> View(VmId vm) const override;

  void set_settings(const Settings& settings) { settings_ = settings; }

 private:
  // A rate that rises at once and falls by half in each half-life.
  class GrowthRate {
   public:
    GrowthRate(int64_t least, absl::Duration half_life)
        : least_(least), half_life_(half_life) {}
    void Add(int64_t growth, absl::Duration elapsed, absl::Time now);
    int64_t At(absl::Time now) const;

   private:
    int64_t least_;
    absl::Duration half_life_;
    double rate_ = 0;
    absl::Time since_;
  };

  // What a VM occupied in the last seconds: a sample is older than its arrival.
  class Occupation {
   public:
    void Add(absl::Time now, int64_t occupied);
    void Clear() { readings_.clear(); }
    std::optional<int64_t> Last() const;
    std::optional<int64_t> At(absl::Time time) const;

   private:
    struct Reading {
      absl::Time time;
      int64_t occupied = 0;
    };
    std::deque<Reading> readings_;
  };

  struct Vm {
    VmId id = 0;
    VmTraits traits;
    absl::Time added;
    int64_t learned_memory = 0;
    std::optional<GuestSample> sample;
    std::optional<int64_t> resident_then;
    absl::Duration latency;
    int samples = 0;
    // Of the queries: when asked last, how many had no usable answer since.
    absl::Time asked = absl::InfinitePast();
    bool is_asked = false;  // there is no answer yet
    absl::Time answered = absl::InfinitePast();
    int failures = 0;
    absl::Time failing_since = absl::InfiniteFuture();
    std::optional<int64_t> target;
    absl::Time resized = absl::InfinitePast();
    StallWatch stall;
    GrowthRate growth;
    GrowthRate surge;
    double lasting_share = 1;
    int64_t cache_rate = 0;
    int64_t settled_cache = 0;
    Occupation resident;
    // Of that, what is the hypervisor's own, as far as is known.
    int64_t overhead;
    Reason reason = Reason::kNone;
    // Where a guest that does not follow is to have its target.
    std::optional<int64_t> parked;

    Vm();
    int64_t Memory() const;
    // Of what it occupies, what balloons could get back.
    std::optional<int64_t> GuestPart(std::optional<int64_t> occupied) const;
    bool IsManaged() const;
    bool IsProbeDue(absl::Time now) const;
  };

  // By name, so that no decision depends on the order of arrival.
  std::vector<Vm*> InOrder();
  Snapshot Look(const std::vector<Vm*>& vms, const HostReading& host,
                absl::Time now) const;
  static bool IsUsable(const Vm& vm, const GuestSample& sample);
  // What is wanted of a VM besides what the policy says; absent: nothing.
  std::optional<Wish> OwnWish(Vm* vm, bool is_host_well, absl::Time now) const;

  Settings settings_;
  std::unique_ptr<Policy> policy_;
  std::map<VmId, Vm> vms_;
  GrowthRate host_growth_;
  std::optional<int64_t> last_available_;
  int64_t host_total_ = 0;
  absl::Time last_begin_ = absl::InfinitePast();
  absl::Time last_round_ = absl::InfinitePast();
  absl::Time next_round_ = absl::InfinitePast();
};

}  // namespace vmsilo::balloond
