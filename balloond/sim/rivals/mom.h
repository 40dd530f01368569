#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "balloond/controller.h"

namespace vmsilo::balloond::sim {

// Of a guest, bytes, over the last samples. Sizes are what it has.
struct MomGuest {
  double minimum = 0;
  double maximum = 0;
  double current = 0;
  double mean_current = 0;
  double mean_free = 0;
};

// How oVirt's MoM sizes a guest while so much of the host, as a share, is
// free: below a fifth everybody shrinks by up to 5 %, otherwise grows. Nothing
// if the change is not worth it. (mom, doc/balloon.rules.)
std::optional<double> SizeAsMom(const MomGuest& guest, double host_free);

// Samples every five seconds, sizes every ten.
std::unique_ptr<Controller> MakeMom();

}  // namespace vmsilo::balloond::sim
