#include "balloond/sim/policies.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "balloond/balancer.h"
#include "balloond/controller.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/rivals/baselines.h"
#include "balloond/sim/rivals/chromeos.h"
#include "balloond/sim/rivals/ghaf.h"
#include "balloond/sim/rivals/mom.h"
#include "balloond/sim/rivals/proxmox.h"
#include "balloond/sim/rivals/qmemman.h"
#include "balloond/sim/rivals/squeezed.h"
#include "common/escape.h"

namespace vmsilo::balloond::sim {
namespace {

// What ships.
std::unique_ptr<Controller> MakeBalancer(const PolicyContext& context,
                                         PolicyKind kind) {
  return std::make_unique<Balancer>(context.settings, MakePolicy(kind));
}

}  // namespace

std::vector<Policy> Policies() {
  return {
      {"level", "equal headroom for all",
       [](const PolicyContext& context) {
         return MakeBalancer(context, PolicyKind::kLevel);
       }},
      {"committed", "lends only what exists",
       [](const PolicyContext& context) {
         return MakeBalancer(context, PolicyKind::kCommitted);
       }},
      {"chromeos", "BalanceAvailable of ChromeOS",
       [](const PolicyContext& /*context*/) {
         return std::make_unique<ChromeOs>(ChromeOs::Constants{});
       }},
      {"prototype", "the same, one VM after the other: vmsilo before",
       [](const PolicyContext& /*context*/) {
         return std::make_unique<ChromeOs>(ChromeOs::Constants{
             .critical_host_percent = 5, .is_prototype = true});
       }},
      {"qmemman", "Qubes OS: 1.3 times what is used, and a share of the rest",
       [](const PolicyContext& context) { return MakeQmemman(context); }},
      {"ghaf", "Ghaf: three quarters of what a guest has are in use",
       [](const PolicyContext& /*context*/) { return MakeGhaf(); }},
      {"squeezed", "xenopsd: the same share of its range for everybody",
       [](const PolicyContext& /*context*/) { return MakeSqueezed(); }},
      {"proxmox", "Proxmox VE: the host at 80 %, by shares",
       [](const PolicyContext& /*context*/) { return MakeProxmox(); }},
      {"mom", "oVirt: 5 % down or up",
       [](const PolicyContext& /*context*/) { return MakeMom(); }},
      {"reporting", "no policy; guests report free pages",
       [](const PolicyContext& /*context*/) { return MakeNoPolicy(); },
       /*needs_free_page_reporting=*/true},
      {"static", "equal parts for all",
       [](const PolicyContext& /*context*/) { return MakeStaticSplit(); }},
      {"none", "every VM keeps its memory",
       [](const PolicyContext& /*context*/) { return MakeNoPolicy(); }},
      {"oracle", "knows the next six seconds",
       [](const PolicyContext& context) { return MakeOracle(context); }},
  };
}

absl::StatusOr<Policy> FindPolicy(absl::string_view name) {
  std::vector<std::string> names;
  for (Policy& policy : Policies()) {
    if (policy.name == name) return policy;
    names.push_back(policy.name);
  }
  return absl::NotFoundError(absl::StrCat("no policy is called ", Quoted(name),
                                          "; there are ",
                                          absl::StrJoin(names, ", ")));
}

}  // namespace vmsilo::balloond::sim
