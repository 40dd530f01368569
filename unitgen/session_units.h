#pragma once

#include "config/config.h"
#include "unitgen/context.h"
#include "unitgen/hardening.h"
#include "unitgen/unit.h"

namespace vmsilo::unitgen {

// What a silo has in the person's session: windows, tray icons, the binding to
// log-in and log-out.
void AddSessionUnits(const config::Vm& vm, Context* context);

// For system services that act in the person's session: the person's user,
// the session's runtime directory, of the home nothing, of all silos only this
// one. Adds `hardening`, too.
void AddSessionAccess(const config::Vm& vm, Hardening hardening,
                      Context* context, Unit* unit);

}  // namespace vmsilo::unitgen
