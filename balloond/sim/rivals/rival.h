#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"

// Policies of other projects, written anew from what is known of them, to be
// measured against: each decides as the original does, and takes from the
// interface what the original would have seen.
namespace vmsilo::balloond::sim {

// What all of them share: who is there, rounds at an interval, the samples of
// the round.
class Rival : public Controller {
 public:
  explicit Rival(absl::Duration interval) : interval_(interval) {}

  void AddVm(VmId vm, const VmTraits& traits, absl::Time now) override;
  void UpdateVm(VmId vm, const VmTraits& traits, absl::Time now) override;
  void RemoveVm(VmId vm, absl::Time now) override;
  std::vector<VmId> Begin(const HostReading& host, absl::Time now) override;
  void AddSample(VmId vm, const absl::StatusOr<GuestSample>& sample,
                 absl::Time now) override;
  std::vector<Resize> Decide(const HostReading& host, absl::Time now) override;
  void OnResized(VmId /*vm*/, bool /*is_ok*/, absl::Time /*now*/) override {}
  // None of the originals listens to what would call this.
  void Hurry(absl::Time /*now*/) override {}
  absl::Time NextRound() const override { return next_round_; }
  std::optional<VmView> View(VmId vm) const override;

 protected:
  struct Vm {
    VmId id = 0;
    VmTraits traits;
    // Of this round, if it came; the last that ever came.
    bool is_fresh = false;
    std::optional<GuestSample> sample;
    std::optional<int64_t> resident;
    std::optional<int64_t> target;
    // Not asked before, as it does not answer.
    absl::Time ask_from = absl::InfinitePast();
    int failures = 0;

    int64_t memory() const;
    // Of a sample, absent taken for none.
    int64_t free_and_caches() const;
  };

  // By name. The fresh ones are to be judged; others may be.
  std::vector<Vm>& vms() { return vms_; }
  // Adds the change to what Decide() returns, unless it is none. No target
  // is below nothing, or more than the VM has.
  void Set(Vm& vm, int64_t balloon);
  // From the beginning of this round.
  void set_interval(absl::Duration interval) { interval_ = interval; }
  // The next round comes at once.
  void HasteNextRound() { next_round_ = absl::InfinitePast(); }
  virtual void Judge(const HostReading& host) = 0;
  // A VM is here, or has gone.
  virtual void Appeared(const Vm& /*vm*/) {}
  virtual void Gone(VmId /*vm*/) {}

 private:
  Vm* Find(VmId vm);

  absl::Duration interval_;
  absl::Time next_round_ = absl::InfinitePast();
  absl::Time begun_;
  std::vector<Vm> vms_;
  std::vector<Resize> resizes_;
};

}  // namespace vmsilo::balloond::sim
