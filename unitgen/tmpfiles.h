#pragma once

#include <string>
#include <vector>

#include "unitgen/context.h"

namespace vmsilo::unitgen {

// Lines of tmpfiles.d(5) for the directories that silos share. What belongs to
// one silo is made by its own units.
std::vector<std::string> TmpfilesLines(Context* context);

void AddTmpfiles(Context* context);

}  // namespace vmsilo::unitgen
