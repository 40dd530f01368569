#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "balloond/controller.h"
#include "balloond/program.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {

// What is to decide.
using MakeController =
    std::function<std::unique_ptr<Controller>(const Settings&)>;

// Serves until it is told to end. Gives up all rights that it does not need.
absl::Status Run(const Options& options, const MakeController& make_controller);

}  // namespace vmsilo::balloond
