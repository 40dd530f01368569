#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "unitgen/install_plan.h"

namespace vmsilo::unitgen {

// What was done, in one or two lines.
std::string DescribeInstall(const InstallPlan& plan);

// One line for each file that was left as it is, with the reason and the way
// to get ours.
std::vector<std::string> DescribeKept(const InstallPlan& plan,
                                      absl::string_view root);

// The commands, in their order, that make the changes effective on the
// running system; one line each.
std::vector<std::string> NextSteps(const InstallPlan& plan);

}  // namespace vmsilo::unitgen
