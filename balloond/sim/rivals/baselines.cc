#include "balloond/sim/rivals/baselines.h"

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/rivals/rival.h"

namespace vmsilo::balloond::sim {
namespace {

class NoPolicy : public Rival {
 public:
  NoPolicy() : Rival(absl::InfiniteDuration()) {}

  absl::Time NextRound() const override { return absl::InfiniteFuture(); }

 protected:
  void Judge(const HostReading& /*host*/) override {}
};

}  // namespace

std::unique_ptr<Controller> MakeNoPolicy() {
  return std::make_unique<NoPolicy>();
}

}  // namespace vmsilo::balloond::sim
