#include "balloond/sim/scenarios.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/random.h"
#include "balloond/sim/trace.h"
#include "common/escape.h"
#include "common/parse_number.h"
#include "common/status_macros.h"

namespace vmsilo::balloond::sim {
namespace {

// What the host's own programs have where nothing else is said, MiB.
constexpr double kHostPrograms = 2000;

// What an ordinary guest does while it does nothing in particular.
struct Rest {
  double anon = 500;
  double hot = 150;
  double io = 5;
};

VmTrace Quiet(int number, const Rest& rest) {
  return {
      .name = absl::StrFormat("vm%02d", number),
      .uses = {{.time = 0, .anon = rest.anon, .hot = rest.hot, .io = rest.io}}};
}

std::vector<VmTrace> QuietVms(int count, const Rest& rest) {
  std::vector<VmTrace> vms;
  for (int i = 0; i < count; ++i) vms.push_back(Quiet(i, rest));
  return vms;
}

// From `start` on, `more` anonymous memory at `rate` MiB a second, held until
// `hold` seconds after the start, then given up at once. Bursts of one VM
// must not overlap.
void AddBurst(double start, double more, double rate, double hold,
              VmTrace* vm) {
  const Use rest = vm->uses.back();
  const double up = more / rate;
  const double end = start + std::max(up, hold);
  const auto add = [&](double time, double anon) {
    Use use = rest;
    use.time = time;
    use.anon = anon;
    vm->uses.push_back(use);
  };
  add(start, rest.anon);
  add(start + up, rest.anon + more);
  if (end > start + up) add(end, rest.anon + more);
  add(end + 0.1, rest.anon);
}

Trace Idle() {
  return {.name = "idle",
          .duration = 180,
          .vms = QuietVms(8, {.io = 0}),
          .host = {{0, kHostPrograms}},
          .fixed_ratio = 1.25};
}

// Bursts that no periodic look sees coming.
Trace Spike() {
  Trace trace = {.name = "spike",
                 .duration = 280,
                 .vms = QuietVms(8, {.anon = 450}),
                 .host = {{0, kHostPrograms}}};
  for (int i = 0; i < 8; ++i) {
    for (double start = 20 + 15 * i; start < 260; start += 120) {
      AddBurst(start, 1500, 800, 20, &trace.vms[i]);
    }
  }
  return trace;
}

// Many starts at once, while two others have grown large in page cache.
Trace Herd() {
  Trace trace = {.name = "herd", .duration = 90, .host = {{0, kHostPrograms}}};
  for (int i = 0; i < 12; ++i) {
    const bool is_early = i < 2;
    VmTrace vm = Quiet(i, {.anon = is_early ? 900.0 : 200.0, .io = 60});
    vm.start = is_early ? 0 : 20 + 0.3 * (i - 2);
    if (is_early) {
      vm.uses.push_back({.time = 12, .anon = 900, .hot = 150, .io = 5});
    } else {
      // The twelve seconds of a start.
      vm.uses[0].time = vm.start;
      vm.uses.push_back(
          {.time = vm.start + 12, .anon = 900, .hot = 150, .io = 5});
    }
    trace.vms.push_back(vm);
  }
  return trace;
}

// The host's own programs need memory, and guests are full of page cache.
Trace HostGrows() {
  return {.name = "host",
          .duration = 200,
          .vms = QuietVms(8, {.anon = 600, .hot = 200, .io = 20}),
          .host = {{0, kHostPrograms},
                   {55, kHostPrograms},
                   {55 + 5000.0 / 600, kHostPrograms + 5000},
                   {135, kHostPrograms + 5000},
                   {136, kHostPrograms}}};
}

void AddRamp(double start, double from, double to, double hold, VmTrace* vm) {
  const Use rest = vm->uses.back();
  const double up = (to - from) / 50;
  const auto add = [&](double time, double anon) {
    Use use = rest;
    use.time = time;
    use.anon = anon;
    vm->uses.push_back(use);
  };
  add(start, from);
  add(start + up, to);
  add(start + up + hold, to);
  add(start + up + hold + (to - from) / 400, from);
}

// Slow growth to nearly all that a guest has, and back.
Trace Ramp() {
  Trace trace = {.name = "ramp",
                 .duration = 220,
                 .vms = QuietVms(8, {}),
                 .host = {{0, kHostPrograms}}};
  for (int i = 0; i < 4; ++i) {
    AddRamp(20 + 25 * i, 500, 3200, 15, &trace.vms[2 * i]);
  }
  return trace;
}

// One guest needs all it has, part of it as page cache; the others read
// what they never read again.
Trace Thrash() {
  Trace trace = {.name = "thrash",
                 .duration = 180,
                 .vms = QuietVms(8, {.anon = 500, .hot = 150, .io = 40}),
                 .host = {{0, kHostPrograms}}};
  trace.vms[3].uses = {{.time = 0, .anon = 500, .hot = 600, .io = 0},
                       {.time = 20, .anon = 500, .hot = 600, .io = 0},
                       {.time = 48, .anon = 3300, .hot = 600, .io = 0}};
  return trace;
}

// One guest that cannot be asked, one that stops to obey.
Trace Stuck() {
  Trace trace = {.name = "stuck",
                 .duration = 200,
                 .vms = QuietVms(8, {}),
                 .host = {{0, kHostPrograms}}};
  trace.vms[0].has_driver = false;
  trace.vms[0].uses[0] = {.time = 0, .anon = 1000, .hot = 150, .io = 1};
  trace.vms[1].frozen_from = 35;
  for (int i = 0; i < 4; ++i) {
    AddRamp(20 + 20 * i, 500, 2500, 15, &trace.vms[2 + i]);
  }
  return trace;
}

// Memory that is read and never needed again, for ever: what makes balloons
// swing. Guests are quiet at first: what fills a host before anybody could
// have looked at it says nothing of anybody.
Trace Stream(int vms, int rate) {
  Trace trace = {.name = absl::StrCat("stream-", vms, "-", rate),
                 .duration = 180,
                 .vms = QuietVms(vms, {.anon = 1100, .hot = 100, .io = 0}),
                 .host = {{0, kHostPrograms}},
                 .fixed_ratio = 2};
  for (VmTrace& vm : trace.vms) {
    vm.memory = 8192;
    Use streaming = vm.uses.back();
    streaming.time = 30;
    streaming.io = rate;
    vm.uses.push_back(streaming);
  }
  return trace;
}

// One guest grows for ever. Nobody can help it; the others are not to notice.
Trace Leak() {
  Trace trace = {.name = "leak",
                 .duration = 320,
                 .vms = QuietVms(8, {}),
                 .host = {{0, kHostPrograms}},
                 .fixed_ratio = 1.1};
  VmTrace& leaking = trace.vms[3];
  leaking.is_exempt = true;
  const Use rest = leaking.uses.back();
  leaking.uses.push_back(
      {.time = 20, .anon = rest.anon, .hot = rest.hot, .io = rest.io});
  leaking.uses.push_back({.time = 320,
                          .anon = rest.anon + 15 * 300,
                          .hot = rest.hot,
                          .io = rest.io});
  return trace;
}

// Three guests sleep, others grow meanwhile, and all wake up to much work.
Trace Suspend() {
  Trace trace = {.name = "suspend",
                 .duration = 180,
                 .vms = QuietVms(8, {}),
                 .host = {{0, kHostPrograms}},
                 .fixed_ratio = 1.25};
  for (int i = 0; i < 3; ++i) {
    const double asleep = 40 + 3 * i;
    VmTrace& vm = trace.vms[i];
    vm.suspended = {{asleep, asleep + 60}};
    AddBurst(20, 1000, 400, 15, &vm);
    AddBurst(asleep + 61, 1200, 400, 30, &vm);
    AddRamp(35 + 5 * i, 500, 2000, 10, &trace.vms[5 + i]);
  }
  return trace;
}

// One guest says that it has nothing, one that it needs nothing.
Trace Liar() {
  Trace trace = {.name = "liar",
                 .duration = 200,
                 .vms = QuietVms(8, {}),
                 .host = {{0, kHostPrograms}},
                 .fixed_ratio = 1.5};
  trace.vms[0].lie = Lie::kPoor;
  trace.vms[1].lie = Lie::kRich;
  AddRamp(40, 500, 1500, 60, &trace.vms[1]);
  for (int i = 0; i < 2; ++i) trace.vms[i].is_exempt = true;
  for (int i = 2; i < 6; ++i) AddRamp(20 * i, 500, 2000, 15, &trace.vms[i]);
  return trace;
}

// The daemon dies in the very moment in which a burst begins, and comes back
// five seconds later.
Trace Restart() {
  Trace trace = Spike();
  trace.name = "restart";
  trace.daemon_down = {{35.1, 40.1}, {200.1, 205.1}};
  trace.fixed_ratio = 1.5;
  return trace;
}

// What ten people's programs might do. The order of the draws is part of the
// scenario.
Trace Desk(int seed) {
  Trace trace = {.name = absl::StrCat("desk", seed),
                 .duration = 300,
                 .host = {{0, kHostPrograms}}};
  Random random(static_cast<uint64_t>(seed));
  for (int i = 0; i < 10; ++i) {
    const double base = std::round(random.Uniform(350, 650));
    const double hot = std::round(random.Uniform(100, 250));
    const double io = std::round(random.Uniform(2, 8));
    VmTrace vm = Quiet(i, {.anon = base, .hot = hot, .io = io});
    const double most = vm.memory - 300 - base - hot;
    double time = 10 + random.Exponential(50);
    while (time < trace.duration) {
      const double more =
          std::min(most, std::round(random.LogNormal(0.22 * vm.memory, 0.6)));
      const double rate = std::round(random.Uniform(50, 600));
      const double length = random.Uniform(15, 70);
      // In tenths, so that no library's logarithm decides about a step.
      time = std::round(time * 10) / 10;
      AddBurst(time, more, rate, length, &vm);
      time = vm.uses.back().time + 1 + random.Exponential(70);
    }
    trace.vms.push_back(vm);
  }
  return trace;
}

absl::StatusOr<Trace> Numbered(absl::string_view name) {
  if (absl::StartsWith(name, "desk")) {
    VMSILO_ASSIGN_OR_RETURN(const int seed,
                            ParseNumber<int>(name.substr(4), 1, kLastSeed));
    return Desk(seed);
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  if (parts.size() == 3 && parts[0] == "stream") {
    VMSILO_ASSIGN_OR_RETURN(const int vms, ParseNumber<int>(parts[1], 1, 64));
    VMSILO_ASSIGN_OR_RETURN(const int rate,
                            ParseNumber<int>(parts[2], 0, 10000));
    return Stream(vms, rate);
  }
  return absl::NotFoundError(
      absl::StrCat("no scenario is called ", Quoted(name), "; there are ",
                   absl::StrJoin(ScenarioNames(), ", "), ", desk1 to desk",
                   kLastSeed, " and stream-VMS-RATE"));
}

}  // namespace

absl::StatusOr<Trace> MakeScenario(absl::string_view name) {
  if (name == "idle") return Idle();
  if (name == "spike") return Spike();
  if (name == "herd") return Herd();
  if (name == "host") return HostGrows();
  if (name == "ramp") return Ramp();
  if (name == "thrash") return Thrash();
  if (name == "stuck") return Stuck();
  if (name == "leak") return Leak();
  if (name == "suspend") return Suspend();
  if (name == "liar") return Liar();
  if (name == "restart") return Restart();
  return Numbered(name);
}

std::vector<std::string> ScoredScenarios() {
  return {"spike", "herd", "host", "ramp", "thrash", "stuck"};
}

std::vector<std::string> FixedScenarios() {
  return {"idle",    "leak",         "suspend",       "liar",
          "restart", "stream-6-800", "stream-16-200", "stream-32-800"};
}

std::vector<std::string> StreamScenarios() {
  std::vector<std::string> names;
  for (const int rate : {800, 200}) {
    for (const int vms : {1, 2, 4, 6, 8, 16, 32}) {
      names.push_back(absl::StrCat("stream-", vms, "-", rate));
    }
  }
  return names;
}

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names = ScoredScenarios();
  for (std::string& name : FixedScenarios()) {
    if (!absl::StartsWith(name, "stream-")) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace vmsilo::balloond::sim
