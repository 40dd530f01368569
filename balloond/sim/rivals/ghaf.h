#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "balloond/controller.h"

namespace vmsilo::balloond::sim {

// Of a guest, in any unit. Sizes are what it has.
struct GhafGuest {
  int64_t minimum = 0;
  int64_t maximum = 0;
  int64_t current = 0;
  int64_t available = 0;
};

// What a guest should have so that three quarters to 85 % of it are in use,
// within its limits. (tiiuae/ghafpkgs, ghaf-mem-manager.)
int64_t GhafPreferred(const GhafGuest& guest);

// What it gets where there is so much for all: its minimum and the same share
// of the rest for everybody.
double GhafScale(int64_t there_is, int64_t preferred, int64_t minimum);

// Every three seconds, and a second after a balloon has moved.
std::unique_ptr<Controller> MakeGhaf();

}  // namespace vmsilo::balloond::sim
