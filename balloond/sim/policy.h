#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/settings.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {

// When every run begins. Any moment would do, but zero.
inline absl::Time RunStart() { return absl::UnixEpoch() + absl::Hours(1); }

// What a policy may want to know before it begins.
struct PolicyContext {
  Settings settings;
  // Only for those that are no policies but limits: they look at what none
  // can see. Outlives the controller.
  const World* world = nullptr;
};

// A controller whose guests report by themselves: what it asks for is not all
// that it costs.
class SelfReporting {
 public:
  virtual ~SelfReporting() = default;
  // So far.
  virtual int64_t reports() const = 0;
};

struct Policy {
  std::string name;
  std::string summary;
  std::function<std::unique_ptr<Controller>(const PolicyContext&)> make;
  // Belongs to it: guests report free pages to the host, whatever else is
  // chosen.
  bool needs_free_page_reporting = false;
};

}  // namespace vmsilo::balloond::sim
