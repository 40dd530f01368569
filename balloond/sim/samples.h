#pragma once

#include <string>

#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {

// Comma-separated values, for spreadsheets and plotting programs: a line for
// each step and VM, and one for the host (VM "host"). MiB and seconds.
std::string SampleHeading();
std::string SampleLines(const World& world);

}  // namespace vmsilo::balloond::sim
