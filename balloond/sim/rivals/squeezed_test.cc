#include "balloond/sim/rivals/squeezed.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

// The scenarios are those of xen-api's ocaml/squeezed/test/squeeze_test.ml,
// with its small world of balloons: memory is first to be freed, some of it
// is used, and the rest is given back.
namespace vmsilo::balloond::sim {
namespace {

using ::testing::TestWithParam;
using ::testing::ValuesIn;

// How a balloon moves in `seconds` that have passed at `now`.
using Balloon = std::function<int64_t(const SqueezedDomain& domain, double now,
                                      double seconds)>;

// At a speed, as far as its inaccuracy lets it.
int64_t Move(const SqueezedDomain& domain, int64_t rate, double seconds) {
  const int64_t sign = domain.actual > domain.target ? -1 : 1;
  const int64_t way = std::max<int64_t>(
      0, std::abs(domain.target - domain.actual) - domain.inaccuracy);
  return sign * std::min(way, static_cast<int64_t>(static_cast<double>(rate) *
                                                   seconds));
}

Balloon Ideal(int64_t rate) {
  return [rate](const SqueezedDomain& domain, double /*now*/, double seconds) {
    return Move(domain, rate, seconds);
  };
}

Balloon NeverBelow(int64_t rate, int64_t limit) {
  return [=](const SqueezedDomain& domain, double /*now*/, double seconds) {
    const int64_t change = Move(domain, rate, seconds);
    return change > 0 || domain.actual + change > limit ? change
                                                        : limit - domain.actual;
  };
}

Balloon NeverAbove(int64_t rate, int64_t limit) {
  return [=](const SqueezedDomain& domain, double /*now*/, double seconds) {
    const int64_t change = Move(domain, rate, seconds);
    return domain.actual + change < limit ? change : limit - domain.actual;
  };
}

// Moves for so long, then does not for as long.
Balloon Sticky(int64_t rate, double interval) {
  return [=](const SqueezedDomain& domain, double now, double seconds) {
    const auto moves = [&](double at) {
      return static_cast<int>(at / interval) % 2 == 0;
    };
    const bool does = moves(now - seconds) && moves(now);
    return Move(domain, rate, does ? seconds : 0);
  };
}

Balloon Stuck() { return Ideal(0); }

struct Scenario {
  const char* name;
  bool succeeds;
  std::vector<SqueezedDomain> domains;
  std::vector<Balloon> balloons;
  int64_t free;
  int64_t required;
  SqueezedFaults faults = {};
};

SqueezedDomain Domain(int id, int64_t minimum, int64_t target, int64_t maximum,
                      int64_t inaccuracy) {
  return {.id = id,
          .minimum = minimum,
          .target = target,
          .maximum = maximum,
          .actual = target,
          .inaccuracy = inaccuracy};
}

// A small world that fails as soon as a guest takes what is not there.
class Simulation {
 public:
  explicit Simulation(const Scenario& scenario)
      : scenario_(scenario), domains_(scenario.domains), free_(scenario.free) {}

  bool Succeeds() {
    const int64_t required = scenario_.required;
    if (!Reach(required,
               [required](int64_t free) { return free >= required; })) {
      return false;
    }
    if (!IsGuaranteed(required)) return false;
    free_ -= 500;
    return Reach(0, [](int64_t free) { return free <= 32; }) && IsGuaranteed(0);
  }

 private:
  bool Reach(int64_t wanted, const std::function<bool(int64_t)>& is_enough) {
    Squeezer squeezer(scenario_.faults);
    while (true) {
      const Squeezer::Result result =
          squeezer.Iterate(domains_, free_, wanted, is_enough, Now());
      if (result.outcome != Squeezer::Outcome::kGoOn) {
        return result.outcome == Squeezer::Outcome::kSuccess;
      }
      for (SqueezedDomain& domain : domains_) {
        const auto confined = result.confined.find(domain.id);
        if (confined != result.confined.end()) {
          domain.target = confined->second;
        }
        const auto target = result.targets.find(domain.id);
        if (target != result.targets.end()) domain.target = target->second;
      }
      if (!Wait()) return false;
    }
  }

  double Now() const { return ticks_ / 10.0; }

  bool Wait() {
    ++ticks_;
    for (size_t i = 0; i < domains_.size(); ++i) {
      const int64_t change = scenario_.balloons[i](domains_[i], Now(), 0.1);
      if (change > free_) return false;
      domains_[i].actual += change;
      free_ -= change;
    }
    return true;
  }

  // Even if every balloon went as far as it might.
  bool IsGuaranteed(int64_t amount) const {
    int64_t free = free_;
    for (const SqueezedDomain& domain : domains_) {
      free -= domain.target + domain.inaccuracy - domain.actual;
    }
    return free >= amount;
  }

  const Scenario& scenario_;
  std::vector<SqueezedDomain> domains_;
  int64_t free_;
  int ticks_ = 0;
};

class SqueezerTest : public TestWithParam<Scenario> {};

TEST_P(SqueezerTest, EndsAsItDoesThere) {
  EXPECT_EQ(Simulation(GetParam()).Succeeds(), GetParam().succeeds);
}

std::vector<Scenario> Scenarios() {
  const Scenario hidden_limit = {
      "a_HiddenLimitAndSticky",
      true,
      {Domain(0, 1000, 1500, 2000, 4), Domain(1, 2500, 3500, 4500, 4)},
      {NeverBelow(100, 1250), Sticky(500, 0.25)},
      0,
      1000};
  const Scenario stuck = {
      "e_OneIsStuckTheOtherMustGive",
      true,
      {Domain(0, 5000, 7000, 7000, 0), Domain(1, 5000, 6000, 11000, 0)},
      {Stuck(), Ideal(100)},
      0,
      1000};
  Scenario at_once = stuck;
  at_once.name = "f_AllAtOnce";
  at_once.succeeds = false;
  at_once.faults.sets_all_at_once = true;
  Scenario inaccurate = hidden_limit;
  inaccurate.name = "g_InaccuracyIgnored";
  inaccurate.succeeds = false;
  inaccurate.faults.ignores_inaccuracy = true;
  return {hidden_limit,
          {"b_StickyWithTwoPeriods",
           true,
           {Domain(1, 500, 3500, 4500, 4), Domain(0, 500, 1500, 2500, 4)},
           {Sticky(100, 3), Sticky(100, 1.5)},
           0,
           1000},
          {"c_MinimaTooHigh",
           false,
           {Domain(0, 1000, 1500, 2000, 0), Domain(1, 2000, 2500, 3000, 0)},
           {Ideal(100), Ideal(100)},
           0,
           1500},
          {"d_StuckAboveItsMinimum",
           false,
           {Domain(0, 1000, 1500, 2000, 0), Domain(1, 2000, 2500, 3000, 0)},
           {Ideal(100), NeverBelow(100, 2250)},
           0,
           1000},
          stuck,
          at_once,
          inaccurate,
          {"h_OneCannotGrow",
           true,
           {Domain(0, 1000, 1500, 2000, 4), Domain(1, 1000, 1500, 2000, 4)},
           {NeverAbove(100, 1500), Ideal(100)},
           1000,
           0}};
}

INSTANTIATE_TEST_SUITE_P(Published, SqueezerTest, ValuesIn(Scenarios()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

}  // namespace
}  // namespace vmsilo::balloond::sim
