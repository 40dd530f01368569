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
      {"none", "every VM keeps its memory",
       [](const PolicyContext& /*context*/) { return MakeNoPolicy(); }},
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
