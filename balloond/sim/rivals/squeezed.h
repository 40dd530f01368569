#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "balloond/controller.h"

namespace vmsilo::balloond::sim {

// A domain as xenopsd's squeezed sees it, in any unit. Sizes are what the
// guest has, not what it has given up.
struct SqueezedDomain {
  int id = 0;
  bool can_balloon = true;
  int64_t minimum = 0;
  int64_t target = 0;
  int64_t maximum = 0;
  int64_t actual = 0;
  int64_t inaccuracy = 0;
};

// What its own tests switch off, to show what it is good for.
struct SqueezedFaults {
  bool sets_all_at_once = false;  // not first who frees, then who takes
  bool ignores_inaccuracy = false;
};

// One attempt to bring the host's free memory to an amount by giving every
// domain the same share of the way from its minimum to its maximum. Domains
// that make no progress for five seconds are left out.
// (xen-api e2ee48d6, ocaml/squeezed/lib/squeeze.ml.)
class Squeezer {
 public:
  enum class Outcome { kGoOn, kSuccess, kFailure };
  struct Result {
    Outcome outcome = Outcome::kGoOn;
    std::map<int, int64_t> targets;  // to be set
    // Have been left out from now on: these are not to exceed what they are
    // given here.
    std::map<int, int64_t> confined;
  };

  explicit Squeezer(const SqueezedFaults& faults = {}) : faults_(faults) {}

  // `now` is in seconds.
  Result Iterate(const std::vector<SqueezedDomain>& domains, int64_t host_free,
                 int64_t host_wanted,
                 const std::function<bool(int64_t free)>& is_enough,
                 double now);

  static bool HasHitTarget(const SqueezedDomain& domain, int64_t target);

 private:
  struct Progress {
    int64_t last_actual = 0;
    double last_time = 0;
    bool is_stuck = false;
    bool was_left_out = false;
  };

  void WatchProgress(const std::vector<SqueezedDomain>& domains, double now);
  int64_t Freeable(const SqueezedDomain& domain) const;

  const SqueezedFaults faults_;
  std::map<int, Progress> progress_;
};

// Every ten seconds and when a VM appears, until all is as it should be.
std::unique_ptr<Controller> MakeSqueezed();

}  // namespace vmsilo::balloond::sim
