#include "balloond/sim/result.h"

#include "balloond/sim/criterion.h"

namespace vmsilo::balloond::sim {

bool RunResult::Meets(const Criterion& criterion) const {
  return kills == 0 && host_ooms == 0 &&
         (oom_deflations == 0 || criterion.allows_oom_deflation) &&
         guest_pressure_time <= criterion.pressure * up_time + 1e-9 &&
         host_pressure_time <= criterion.pressure * run_time + 1e-9;
}

double RunResult::messages_per_minute() const {
  return vm_time > 0 ? static_cast<double>(samples + sets) * 60 / vm_time : 0;
}

double RunResult::travel_gib_per_minute() const {
  return vm_time > 0 ? travel / 1024 * 60 / vm_time : 0;
}

double RunResult::reversals_per_minute() const {
  // They were counted in the second half.
  return vm_time > 0 ? static_cast<double>(reversals) * 60 / (vm_time / 2) : 0;
}

}  // namespace vmsilo::balloond::sim
