#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unitgen/output.h"
#include "unitgen/unit_graph.h"

namespace vmsilo::unitgen {

// Where the value of a key of the configuration comes from, such as
// "/etc/vmsilo/vmsilo.toml:12:3" or "default".
using OriginOf = std::function<std::string(absl::string_view key)>;

// Why a generated file exists, from which options, and what it is tied to;
// with line ends, for people. `name` is a unit's name, with or without its
// suffix, an instance of a template, or the last part of another file's path.
// NotFound with what may be meant if there is none.
absl::StatusOr<std::string> Explain(const Output& output,
                                    const UnitGraph& graph,
                                    absl::string_view name,
                                    const OriginOf& origin_of);

// The generated files, one a line: the name and what it is for. With `paths`
// the paths below the layout's root, those of links too, and nothing else.
std::string List(const Output& output, bool paths);

}  // namespace vmsilo::unitgen
