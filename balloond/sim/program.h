#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "balloond/sim/run.h"
#include "common/options.h"

namespace vmsilo::balloond::sim {

// The command line.
struct Flags {
  std::string policies = "all";
  std::string scenarios = "all";
  std::string seeds = "1-10";
  std::vector<std::string> traces;
  bool is_final = false;

  bool has_details = false;
  bool has_variations = false;
  double memory = 0;  // MiB; 0 looks for the least
  std::string samples;
  std::string plot;
  std::string document;
  std::string printed_trace;

  bool has_fine_steps = false;
  bool keeps_balloon_on_oom = false;
  RunOptions run;
};

Program MakeProgram(Flags* flags,
                    const std::function<absl::Status(const Flags&)>& run);

}  // namespace vmsilo::balloond::sim
