#pragma once

#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

// How much memory a host must have at least, MiB, whatever decides over it.
struct Bounds {
  // So that at every moment every guest has all it wants, its whole hot page
  // cache and its watermark included: what a policy is measured by.
  double needed = 0;
  // Below this nobody passes: of the hot page cache only what is counted as
  // harm is missing, watermarks lie in memory that no guest has touched, and
  // the moments that the strict criterion forgives are the worst ones.
  double possible = 0;
  double memory = 0;  // of all VMs together
};

Bounds BoundsOf(const Timeline& timeline);

}  // namespace vmsilo::balloond::sim
