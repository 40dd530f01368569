#pragma once

#include <string>

#include "absl/time/time.h"
#include "balloond/sim/run.h"
#include "common/options.h"

namespace vmsilo::balloond::sim {

// The command line.
struct Flags {
  std::string policies = "all";
  std::string scenarios = "all";
  std::string seeds = "1-10";
  bool is_final = false;
  bool has_details = false;
  bool has_fine_steps = false;
  bool keeps_balloon_on_oom = false;
  double memory = 0;  // MiB; 0 looks for the least
  std::string samples;
  RunOptions run;
};

Program MakeProgram(Flags* flags);

}  // namespace vmsilo::balloond::sim
