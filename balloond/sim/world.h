#pragma once

#include <cstdint>
#include <vector>

#include "balloond/controller.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/host.h"
#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

inline constexpr double kMiB = 1048576;

inline int64_t ToBytes(double mib) { return static_cast<int64_t>(mib * kMiB); }
inline double ToMiB(int64_t bytes) { return static_cast<double>(bytes) / kMiB; }

struct WorldOptions {
  HostOptions host;
  GuestOptions guest;
};

// A host and its guests, a step after the other.
class World {
 public:
  // The timeline must outlive it.
  World(const Timeline& timeline, const WorldOptions& options);

  // To be called before each step: VMs whose time has come are there, others
  // gone.
  void StartAndStop();
  // Moves on by one step. What happens to the guests comes first, then the
  // host's reaction: where its memory is exhausted, the VM with the most dies
  // and is back ten seconds later.
  void Step();

  const Timeline& timeline() const { return timeline_; }
  int step() const { return step_; }
  double time() const { return step_ * dt_; }
  int vms() const { return static_cast<int>(guests_.size()); }
  const Guest& guest(int vm) const { return guests_[vm]; }
  const Host& host() const { return host_; }
  bool is_on(int vm) const { return is_on_[vm]; }
  bool is_suspended(int vm) const {
    return timeline_.at(step_, vm).is_suspended;
  }
  const VmTrace& trace(int vm) const { return timeline_.trace().vms[vm]; }

  // What the guest's driver would say now.
  GuestSample Sample(int vm, absl::Time now) const;
  void SetTarget(int vm, double balloon);

  int host_ooms() const { return host_ooms_; }
  int host_ooms_of(int vm) const { return host_ooms_of_[vm]; }

 private:
  const Timeline& timeline_;
  const WorldOptions options_;
  const double dt_;
  int step_ = 0;
  Host host_;
  std::vector<Guest> guests_;
  std::vector<bool> is_on_;
  std::vector<double> down_until_;  // after an end by the host
  int host_ooms_ = 0;
  std::vector<int> host_ooms_of_;
};

}  // namespace vmsilo::balloond::sim
