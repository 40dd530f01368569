#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/sim/rivals/rival.h"

namespace vmsilo::balloond::sim {

// One VM of ChromeOS's BalanceAvailable: half of the difference between what
// the guest and what the host have above their critical amounts is moved.
// (chromiumos/platform2, vm_tools/concierge/balloon_policy.cc, 2026-08.)
class BalanceAvailable {
 public:
  // `critical` may fall: a guest that lives below it, although more could be
  // taken from it, needs less.
  explicit BalanceAvailable(int64_t critical, int64_t bias)
      : critical_(critical), bias_(bias) {}

  // By how much to change the balloon; negative gives to the guest.
  int64_t Change(const GuestSample& sample, int64_t host_available,
                 int64_t host_critical);

 private:
  struct Tick {
    int64_t available = 0;
    int64_t filled = 0;  // percent
  };
  int64_t critical_;
  int64_t bias_;
  int64_t largest_balloon_ = 0;
  std::optional<Tick> last_;
};

class ChromeOs : public Rival {
 public:
  struct Constants {
    absl::Duration interval = absl::Seconds(1);
    double critical_host_percent = 5.2;
    int64_t critical_guest = int64_t{400} << 20;
    int64_t bias = 0;  // 48 MiB for its Android VM, nothing for others
    // As vmsilo's prototype seems to have had it: each VM is judged by what
    // the ones before it leave of the host, no guest is taken more than it has
    // available above its critical amount, and under pressure rounds come
    // faster.
    bool is_prototype = false;
  };
  explicit ChromeOs(const Constants& constants)
      : Rival(constants.interval), constants_(constants) {}

 protected:
  void Judge(const HostReading& host) override;
  void Gone(VmId vm) override { balances_.erase(vm); }

 private:
  const Constants constants_;
  std::map<VmId, BalanceAvailable> balances_;
};

}  // namespace vmsilo::balloond::sim
