#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "config/config.h"
#include "unitgen/mode.h"

// The configurations whose output is checked in and goes through systemd's own
// checks.
namespace vmsilo::unitgen {

struct GoldenCase {
  // Of the expectation: testdata/golden/NAME.txt.
  std::string name;
  // The configuration, relative to the workspace.
  std::string input;
  Mode mode;
};

std::ostream& operator<<(std::ostream& out, const GoldenCase& golden_case);

std::vector<GoldenCase> GoldenCases();

// The configuration of a case, for a host whose user database has "alice".
// Ends the test process if it does not load.
config::Config LoadGoldenCase(const GoldenCase& golden_case);

}  // namespace vmsilo::unitgen
