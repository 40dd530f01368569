#pragma once

#include <cstdint>
#include <vector>

#include "balloond/sim/criterion.h"

namespace vmsilo::balloond::sim {

// What came of a run.
struct RunResult {
  // Harm. VMs that are exempt do not count.
  int kills = 0;
  int host_ooms = 0;
  int oom_deflations = 0;
  double guest_pressure_time = 0;  // seconds, of all guests
  double host_pressure_time = 0;
  double up_time = 0;  // of all guests
  double run_time = 0;
  double unmet = 0;                      // MiB times seconds
  std::vector<double> pressure_time_of;  // by VM
  int exempt_deaths = 0;

  // Cost. All VMs count.
  double vm_time = 0;  // seconds
  int64_t samples = 0;
  int64_t sets = 0;
  int64_t rounds = 0;
  int64_t host_reads = 0;
  double travel = 0;  // MiB
  // In the second half of the run.
  int64_t reversals = 0;
  double amplitude = 0;  // of the VM with the largest
  // Seconds for which a guest or the host was below its floor.
  std::vector<double> reactions;

  bool Meets(const Criterion& criterion) const;
  double messages_per_minute() const;  // of a VM
  double travel_gib_per_minute() const;
  double reversals_per_minute() const;
};

}  // namespace vmsilo::balloond::sim
