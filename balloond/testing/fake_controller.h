#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"

namespace vmsilo::balloond {

// Names every VM in every round, decides what it is told to, and keeps what it
// has heard.
class FakeController final : public Controller {
 public:
  void set_interval(absl::Duration interval) { interval_ = interval; }
  // Else it decides by the samples of rounds before.
  void set_waits(bool waits) { waits_ = waits; }
  // The next round decides this.
  void set_decision(std::vector<Resize> decision) {
    decision_ = std::move(decision);
  }

  struct Heard {
    VmTraits traits;
    // In the order of rounds.
    std::vector<absl::StatusOr<GuestSample>> samples;
    // Of resizes, in the order of their ends.
    std::vector<bool> resized;
    std::optional<int64_t> target;
  };
  const std::map<VmId, Heard>& vms() const { return vms_; }
  const Heard& vm(VmId id) const { return vms_.at(id); }
  int rounds() const { return rounds_; }
  // When rounds began.
  const std::vector<absl::Time>& begun() const { return begun_; }

  void AddVm(VmId vm, const VmTraits& traits, absl::Time now) override {
    vms_[vm].traits = traits;
    Hurry(now);
  }
  void UpdateVm(VmId vm, const VmTraits& traits, absl::Time now) override {
    vms_.at(vm).traits = traits;
    Hurry(now);
  }
  void RemoveVm(VmId vm, absl::Time now) override {
    vms_.erase(vm);
    Hurry(now);
  }
  std::vector<VmId> Begin(const HostReading& host, absl::Time now) override {
    begun_.push_back(now);
    resident_ = host.resident;
    std::vector<VmId> named;
    for (const auto& [id, vm] : vms_) named.push_back(id);
    return named;
  }
  bool WaitsForSamples() const override { return waits_; }
  void AddSample(VmId vm, const absl::StatusOr<GuestSample>& sample,
                 absl::Time) override {
    if (const auto it = vms_.find(vm); it != vms_.end()) {
      it->second.samples.push_back(sample);
    }
  }
  std::vector<Resize> Decide(const HostReading&, absl::Time now) override {
    ++rounds_;
    next_round_ = now + interval_;
    for (const Resize& resize : decision_) {
      if (const auto it = vms_.find(resize.vm); it != vms_.end()) {
        it->second.target = resize.balloon;
      }
    }
    return std::exchange(decision_, {});
  }
  void OnResized(VmId vm, bool is_ok, absl::Time) override {
    if (const auto it = vms_.find(vm); it != vms_.end()) {
      it->second.resized.push_back(is_ok);
    }
  }
  void Hurry(absl::Time now) override { next_round_ = now; }
  absl::Time NextRound() const override { return next_round_; }
  std::optional<VmView> View(VmId id) const override {
    const auto it = vms_.find(id);
    if (it == vms_.end()) return std::nullopt;
    VmView view = {.traits = it->second.traits,
                   .memory = it->second.traits.memory,
                   .target = it->second.target};
    if (const auto resident = resident_.find(id); resident != resident_.end()) {
      view.resident = resident->second;
    }
    for (const absl::StatusOr<GuestSample>& sample : it->second.samples) {
      if (sample.ok()) view.sample = *sample;
    }
    return view;
  }

 private:
  absl::Duration interval_ = absl::Seconds(2);
  absl::Time next_round_ = absl::InfinitePast();
  bool waits_ = true;
  std::vector<Resize> decision_;
  std::map<VmId, Heard> vms_;
  std::map<VmId, int64_t> resident_;
  std::vector<absl::Time> begun_;
  int rounds_ = 0;
};

}  // namespace vmsilo::balloond
