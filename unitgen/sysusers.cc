#include "unitgen/sysusers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "config/layout.h"
#include "unitgen/features.h"

namespace vmsilo::unitgen {

void AddSysusers(Context* context) {
  const config::Config& config = context->config();
  if (context->mode().is_generator || config.vms.empty()) return;
  File file;
  file.reason = "gives each silo's hypervisor a user of its own";
  file.keys = {"vms"};
  file.content =
      "# Made by vmsilo-unitgen: do not change it.\n"
      "g kvm - -\n"
      "g render - -\n";
  for (const config::Vm& vm : config.vms) {
    if (!HasOwnUser(config, vm)) continue;
    absl::StrAppend(&file.content, "u ", layout::HypervisorUser(vm.name),
                    " - \"Silo ", vm.name, "\"\n");
  }
  context->EmitFile("sysusers.d/vmsilo.conf", std::move(file));
}

}  // namespace vmsilo::unitgen
