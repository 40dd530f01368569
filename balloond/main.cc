#include "common/main.h"

#include <memory>

#include "absl/status/status.h"
#include "balloond/balancer.h"
#include "balloond/program.h"
#include "balloond/run.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {
namespace {

absl::Status RunBalloond(const Options& options) {
  return Run(options, [&options](const Settings& settings) {
    return std::make_unique<Balancer>(
        settings,
        MakePolicy(options.policy == "level" ? PolicyKind::kLevel
                                             : PolicyKind::kCommitted));
  });
}

}  // namespace
}  // namespace vmsilo::balloond

int main(int argc, char** argv) {
  vmsilo::balloond::Options options;
  return vmsilo::Main(
      argc, argv,
      vmsilo::balloond::MakeProgram(&options, vmsilo::balloond::RunBalloond));
}
