#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "unitgen/output.h"
#include "unitgen/unit_graph.h"

namespace vmsilo::unitgen {

// A silo, as far as a drawing shows it.
struct DrawnSilo {
  std::string name;
  std::string color;  // "#rrggbb"
};

// The silo of `silos` that a file was made for, by the file's keys, or "" for
// files of the host.
std::string SiloOf(const File& file, const std::vector<DrawnSilo>& silos);

// The graph in Graphviz's language: a box for each silo in its colour, units
// as nodes, those which others make in grey. With `only` not empty, only that
// silo's units and what they name.
//
// Lines: requirements solid (BindsTo thick), wishes dashed, activation with a
// diamond, conflicts red, order alone dotted. A requirement that is not
// ordered has an open arrow.
std::string DrawGraph(const Output& output, const UnitGraph& graph,
                      const std::vector<DrawnSilo>& silos,
                      absl::string_view only);

}  // namespace vmsilo::unitgen
