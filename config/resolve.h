#pragma once

#include "common/value.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/user_database.h"

namespace vmsilo::config {

// Takes the default image away from silos with a kernel of their own. Comes
// before Resolve(), because the images' descriptions are read in between.
void ResolveImages(const Value& tree, Config& config);

// Fills in what the file left out (the user's numbers, CIDs, names of TAP
// interfaces, the share of the home directory, …) and checks what no single
// option can: references, collisions, lengths, and what the hypervisors can
// do. `tree` is what `config` was read from; it says where things stand.
void Resolve(const Value& tree, const UserDatabase& users, Config& config,
             DiagnosticSink& sink);

}  // namespace vmsilo::config
