#include "balloond/sim/samples.h"

#include <string>

#include "absl/strings/str_format.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/host.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {

std::string SampleHeading() {
  return "time,vm,resident,free,available,stall,balloon,target,anon,cache,"
         "unmet,missing_hot,wanted_anon,wanted_hot\n";
}

std::string SampleLines(const World& world) {
  const Host& host = world.host();
  const int step = world.step() - 1;
  std::string lines = absl::StrFormat(
      "%.2f,host,%.1f,%.1f,%.1f,%.3f,,,,,,,,\n", world.time(),
      world.timeline().host(step), host.free(), host.available(), host.stall());
  for (int vm = 0; vm < world.vms(); ++vm) {
    if (!world.is_on(vm)) continue;
    const Guest& guest = world.guest(vm);
    const Demand& demand = world.timeline().at(step, vm);
    absl::StrAppendFormat(
        &lines,
        "%.2f,%s,%.1f,%.1f,%.1f,,%.1f,%.1f,%.1f,%.1f,%.1f,%.3f,%.1f,"
        "%.1f\n",
        world.time(), world.trace(vm).name, guest.resident(), guest.free(),
        guest.available(), guest.balloon(), guest.target(), guest.anon(),
        guest.cache(), guest.unmet(), guest.missing_hot(), demand.anon,
        demand.hot);
  }
  return lines;
}

}  // namespace vmsilo::balloond::sim
