// vmsilo-balloond, decided by ChromeOS's rule: what the shipped one is compared
// with, all else being the same.

#include <memory>

#include "absl/status/status.h"
#include "balloond/program.h"
#include "balloond/run.h"
#include "balloond/settings.h"
#include "balloond/sim/rivals/chromeos.h"
#include "common/main.h"

namespace vmsilo::balloond {
namespace {

absl::Status RunChromeOs(const Options& options) {
  return Run(options, [](const Settings& settings) {
    return std::make_unique<sim::ChromeOs>(sim::ChromeOs::Constants{
        .critical_guest = settings.critical_guest_available});
  });
}

}  // namespace
}  // namespace vmsilo::balloond

int main(int argc, char** argv) {
  vmsilo::balloond::Options options;
  return vmsilo::Main(
      argc, argv,
      vmsilo::balloond::MakeProgram(&options, vmsilo::balloond::RunChromeOs));
}
