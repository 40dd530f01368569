#pragma once

#include <memory>

#include "balloond/controller.h"

namespace vmsilo::balloond::sim {

// Every VM keeps all it was configured with.
std::unique_ptr<Controller> MakeNoPolicy();

}  // namespace vmsilo::balloond::sim
