#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "unitgen/install_plan.h"
#include "unitgen/manifest.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// The difference between what is installed and what would be: one unified
// diff, from /etc/... to what the configuration says, for each file that
// differs; "" if none does. Files of the manifest that are no longer wanted
// count as removed, whether install would remove them or leave them to the
// person who changed them. Links are shown by their targets.
std::string DiffInstalled(const std::map<std::string, File>& wanted,
                          const Manifest& manifest, const Nodes& present);

// The same text with the colours that git and diff use.
std::string Coloured(absl::string_view diff);

}  // namespace vmsilo::unitgen
