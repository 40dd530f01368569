#include "unitgen/unit_graph.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "unitgen/unit_file.h"

namespace vmsilo::unitgen {
namespace {

constexpr absl::string_view kSystem = "systemd/system/";
constexpr absl::string_view kUser = "systemd/user/";

struct Dependency {
  absl::string_view key;
  Relation relation;
  // RequiredBy= and the like name the unit that depends on this one.
  bool is_reversed;
};

constexpr std::array<Dependency, 11> kDependencies = {{
    {"After", Relation::kAfter, false},
    {"Before", Relation::kAfter, true},
    {"BindsTo", Relation::kBindsTo, false},
    {"Conflicts", Relation::kConflicts, false},
    {"PartOf", Relation::kPartOf, false},
    {"RequiredBy", Relation::kRequires, true},
    {"Requires", Relation::kRequires, false},
    {"Requisite", Relation::kRequires, false},
    {"Upholds", Relation::kWants, false},
    {"WantedBy", Relation::kWants, true},
    {"Wants", Relation::kWants, false},
}};

// A path below one of the two directories of units.
struct UnitPath {
  absl::string_view directory;  // "NAME.wants"; "" for a unit itself
  absl::string_view name;
};

std::optional<UnitPath> SplitUnitPath(absl::string_view path) {
  if (!absl::ConsumePrefix(&path, kSystem) &&
      !absl::ConsumePrefix(&path, kUser)) {
    return std::nullopt;
  }
  const size_t slash = path.find('/');
  if (slash == absl::string_view::npos) return UnitPath{"", path};
  return UnitPath{path.substr(0, slash), path.substr(slash + 1)};
}

void AddEdge(absl::string_view from, absl::string_view to, Relation relation,
             UnitGraph* graph) {
  graph->edges.insert({std::string(from), std::string(to), relation});
}

// What a socket starts: Service=, or the service or template of its name.
void AddActivation(absl::string_view socket,
                   const std::vector<Assignment>& assignments,
                   UnitGraph* graph) {
  bool accepts = false;
  std::string service;
  for (const Assignment& one : assignments) {
    if (one.section != "Socket") continue;
    if (one.key == "Accept") {
      accepts = one.value == "yes" || one.value == "true" ||
                one.value == "on" || one.value == "1";
    }
    if (one.key == "Service") service = one.value;
  }
  if (service.empty()) {
    service = absl::StrCat(absl::StripSuffix(socket, ".socket"),
                           accepts ? "@" : "", ".service");
  }
  AddEdge(socket, service, Relation::kActivates, graph);
}

absl::Status AddFile(absl::string_view unit, const File& file,
                     UnitGraph* graph) {
  absl::StatusOr<std::vector<Assignment>> assignments =
      ParseUnitFile(file.content);
  if (!assignments.ok()) {
    return absl::InternalError(
        absl::StrCat(unit, ": ", assignments.status().message()));
  }
  for (const Assignment& one : *assignments) {
    for (const Dependency& dependency : kDependencies) {
      if (one.key != dependency.key) continue;
      for (const std::string& other : UnitNames(one.value)) {
        if (dependency.is_reversed) {
          AddEdge(other, unit, dependency.relation, graph);
        } else {
          AddEdge(unit, other, dependency.relation, graph);
        }
      }
    }
  }
  return absl::OkStatus();
}

// A depth-first walk along the order. The graph is a configuration's, and so
// may be deep: the stack is our own.
class CycleFinder {
 public:
  explicit CycleFinder(const UnitGraph& graph) {
    for (const Edge& edge : graph.edges) {
      if (edge.relation == Relation::kAfter) {
        after_[edge.from].push_back(edge.to);
      }
    }
  }

  std::vector<std::string> Find() {
    for (const auto& [unit, others] : after_) {
      std::vector<std::string> cycle = FindFrom(unit);
      if (!cycle.empty()) return cycle;
    }
    return {};
  }

 private:
  struct Frame {
    std::string unit;
    size_t next = 0;
  };

  std::vector<std::string> FindFrom(const std::string& start) {
    if (done_.contains(start)) return {};
    std::vector<Frame> path = {{start}};
    std::set<std::string> on_path = {start};
    while (!path.empty()) {
      Frame& frame = path.back();
      const auto others = after_.find(frame.unit);
      if (others == after_.end() || frame.next == others->second.size()) {
        on_path.erase(frame.unit);
        done_.insert(frame.unit);
        path.pop_back();
        continue;
      }
      const std::string& next = others->second[frame.next++];
      if (on_path.contains(next)) {
        std::vector<std::string> cycle;
        auto first =
            std::find_if(path.begin(), path.end(),
                         [&](const Frame& one) { return one.unit == next; });
        for (; first != path.end(); ++first) cycle.push_back(first->unit);
        return cycle;
      }
      if (!done_.contains(next)) {
        on_path.insert(next);
        path.push_back({next});
      }
    }
    return {};
  }

  std::map<std::string, std::vector<std::string>> after_;
  std::set<std::string> done_;
};

}  // namespace

absl::string_view ToString(Relation relation) {
  switch (relation) {
    case Relation::kBindsTo:
      return "BindsTo";
    case Relation::kRequires:
      return "Requires";
    case Relation::kWants:
      return "Wants";
    case Relation::kPartOf:
      return "PartOf";
    case Relation::kConflicts:
      return "Conflicts";
    case Relation::kActivates:
      return "activates";
    case Relation::kAfter:
      break;
  }
  return "After";
}

absl::StatusOr<UnitGraph> BuildGraph(const Output& output) {
  UnitGraph graph;
  for (const auto& [path, file] : output.files) {
    const std::optional<UnitPath> split = SplitUnitPath(path);
    if (!split.has_value()) continue;
    absl::string_view owner = split->directory;
    if (owner.empty()) {
      if (file.kind != File::Kind::kRegular) continue;
      graph.units.emplace(std::string(split->name), path);
      VMSILO_RETURN_IF_ERROR(AddFile(split->name, file, &graph));
      if (UnitType(split->name) == "socket") {
        VMSILO_ASSIGN_OR_RETURN(const std::vector<Assignment> assignments,
                                ParseUnitFile(file.content));
        AddActivation(split->name, assignments, &graph);
      }
    } else if (absl::ConsumeSuffix(&owner, ".wants")) {
      AddEdge(owner, split->name, Relation::kWants, &graph);
    } else if (absl::ConsumeSuffix(&owner, ".requires")) {
      AddEdge(owner, split->name, Relation::kRequires, &graph);
    } else if (absl::ConsumeSuffix(&owner, ".d")) {
      VMSILO_RETURN_IF_ERROR(AddFile(owner, file, &graph));
    }
  }
  return graph;
}

std::vector<std::string> FindOrderingCycle(const UnitGraph& graph) {
  return CycleFinder(graph).Find();
}

}  // namespace vmsilo::unitgen
