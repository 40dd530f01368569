#pragma once

#include "config/load.h"

namespace vmsilo::config {

// What holds for the result of loading any text; used by the fuzz targets.
// Ends the process where it does not.
void CheckLoaded(const Source& source);

}  // namespace vmsilo::config
