#include "unitgen/generate.h"

#include <utility>

#include "common/status_macros.h"
#include "unitgen/context.h"
#include "unitgen/helper_units.h"
#include "unitgen/host_units.h"
#include "unitgen/networkd.h"
#include "unitgen/polkit.h"
#include "unitgen/session_units.h"
#include "unitgen/silo_units.h"
#include "unitgen/sysusers.h"
#include "unitgen/tmpfiles.h"
#include "unitgen/vm_units.h"

namespace vmsilo::unitgen {
absl::StatusOr<Output> Generate(const config::Config& config,
                                const Mode& mode) {
  Context context(config, mode);
  if (!config.enable) return std::move(context).TakeOutput();
  for (const config::Vm& vm : config.vms) {
    AddVmUnits(vm, &context);
    AddSiloUnits(vm, &context);
    AddHelperUnits(vm, &context);
    AddSessionUnits(vm, &context);
  }
  AddHostUnits(&context);
  AddTmpfiles(&context);
  AddPolkit(&context);
  AddNetworkd(&context);
  AddSysusers(&context);
  VMSILO_RETURN_IF_ERROR(context.status());
  return std::move(context).TakeOutput();
}

}  // namespace vmsilo::unitgen
