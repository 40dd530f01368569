#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// How one unit is tied to another.
enum class Relation {
  kBindsTo,
  kRequires,  // Requisite= too
  kWants,     // Upholds= too
  kPartOf,
  kConflicts,
  kActivates,  // a socket its service
  kAfter,      // order only; Before= is this the other way round
};

// "BindsTo" and so on.
absl::string_view ToString(Relation relation);

struct Edge {
  std::string from;
  std::string to;
  Relation relation = Relation::kAfter;

  friend auto operator<=>(const Edge&, const Edge&) = default;
};

// The generated units with everything that they name.
struct UnitGraph {
  // Generated units, by name, with their paths in the output. A name that the
  // system's and the user's manager both have stands once, for the system's.
  std::map<std::string, std::string> units;
  std::set<Edge> edges;
};

// Reads the units, drop-ins and .wants/.requires links of an output. Internal
// if a unit cannot be parsed: we made it.
absl::StatusOr<UnitGraph> BuildGraph(const Output& output);

// Units of which each is ordered after the next, and the last after the
// first; empty if there are none. systemd breaks such a cycle by leaving one
// of them out.
std::vector<std::string> FindOrderingCycle(const UnitGraph& graph);

}  // namespace vmsilo::unitgen
