#include "unitgen/graph.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace vmsilo::unitgen {
namespace {

// A string of Graphviz's language: only the quote has to be escaped, and a
// backslash so that it is not taken for an escape of labels.
std::string Dot(absl::string_view text) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

absl::string_view Style(Relation relation) {
  switch (relation) {
    case Relation::kBindsTo:
      return "penwidth=2";
    case Relation::kRequires:
      return "";
    case Relation::kWants:
      return "style=dashed";
    case Relation::kPartOf:
      return "color=\"#7f7f7f\", arrowtail=odot, dir=both";
    case Relation::kConflicts:
      return "color=\"#cc0000\", arrowhead=tee";
    case Relation::kActivates:
      return "arrowhead=diamond";
    case Relation::kAfter:
      break;
  }
  return "style=dotted, color=\"#7f7f7f\", constraint=false";
}

bool NeedsOrder(Relation relation) {
  return relation == Relation::kBindsTo || relation == Relation::kRequires ||
         relation == Relation::kWants;
}

class Drawing {
 public:
  Drawing(const Output& output, const UnitGraph& graph,
          const std::vector<DrawnSilo>& silos, absl::string_view only)
      : graph_(graph), silos_(silos) {
    for (const auto& [unit, path] : graph.units) {
      const std::string silo = SiloOf(output.files.at(path), silos);
      if (only.empty() || silo == only) members_[silo].insert(unit);
    }
    for (const auto& [silo, units] : members_) {
      drawn_.insert(units.begin(), units.end());
    }
    // Of what is not in the drawing, only what its units name.
    for (const Edge& edge : graph.edges) {
      if (IsDrawn(edge.from) && !IsDrawn(edge.to)) others_.insert(edge.to);
      if (IsDrawn(edge.to) && !IsDrawn(edge.from) &&
          edge.relation != Relation::kAfter) {
        others_.insert(edge.from);
      }
    }
  }

  std::string Text() const {
    std::string out =
        "digraph vmsilo {\n"
        "  rankdir=LR;\n"
        "  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n"
        "  edge [fontname=\"sans-serif\", fontsize=8];\n";
    int number = 0;
    for (const auto& [silo, units] : members_) {
      if (silo.empty()) {
        for (const std::string& unit : units) AppendNode("  ", unit, &out);
        continue;
      }
      absl::StrAppend(
          &out, "  subgraph cluster_", number++, " {\n    label=", Dot(silo),
          ";\n    penwidth=3;\n    color=", Dot(ColorOf(silo)), ";\n");
      for (const std::string& unit : units) AppendNode("    ", unit, &out);
      absl::StrAppend(&out, "  }\n");
    }
    for (const std::string& unit : others_) {
      absl::StrAppend(&out, "  ", Dot(unit),
                      " [color=\"#7f7f7f\", fontcolor=\"#7f7f7f\"];\n");
    }
    for (const Edge& edge : graph_.edges) AppendEdge(edge, &out);
    absl::StrAppend(&out, "}\n");
    return out;
  }

 private:
  bool IsDrawn(const std::string& unit) const { return drawn_.contains(unit); }

  std::string ColorOf(absl::string_view silo) const {
    for (const DrawnSilo& one : silos_) {
      if (one.name == silo) return one.color;
    }
    return "#000000";
  }

  bool Has(const Edge& edge, Relation relation) const {
    return graph_.edges.contains({edge.from, edge.to, relation});
  }

  void AppendNode(absl::string_view indent, const std::string& unit,
                  std::string* out) const {
    absl::StrAppend(out, indent, Dot(unit),
                    absl::StrContains(graph_.units.at(unit), "/user/")
                        ? " [style=rounded];\n"
                        : ";\n");
  }

  void AppendEdge(const Edge& edge, std::string* out) const {
    const bool shown = (IsDrawn(edge.from) &&
                        (IsDrawn(edge.to) || others_.contains(edge.to))) ||
                       (IsDrawn(edge.to) && others_.contains(edge.from));
    if (!shown) return;
    // A requirement's arrow says that it is ordered, too.
    if (edge.relation == Relation::kAfter &&
        (Has(edge, Relation::kBindsTo) || Has(edge, Relation::kRequires) ||
         Has(edge, Relation::kWants))) {
      return;
    }
    // BindsTo= is a stronger Requires=.
    if (edge.relation == Relation::kRequires && Has(edge, Relation::kBindsTo)) {
      return;
    }
    std::string attributes(Style(edge.relation));
    if (NeedsOrder(edge.relation) && !Has(edge, Relation::kAfter)) {
      absl::StrAppend(&attributes, attributes.empty() ? "" : ", ",
                      "arrowhead=empty");
    }
    absl::StrAppend(out, "  ", Dot(edge.from), " -> ", Dot(edge.to));
    if (!attributes.empty()) absl::StrAppend(out, " [", attributes, "]");
    absl::StrAppend(out, ";\n");
  }

  const UnitGraph& graph_;
  const std::vector<DrawnSilo>& silos_;
  std::map<std::string, std::set<std::string>> members_;
  std::set<std::string> drawn_;
  std::set<std::string> others_;
};

}  // namespace

std::string SiloOf(const File& file, const std::vector<DrawnSilo>& silos) {
  std::string best;
  for (const std::string& key : file.keys) {
    absl::string_view rest = key;
    if (!absl::ConsumePrefix(&rest, "vms.")) continue;
    for (const DrawnSilo& silo : silos) {
      absl::string_view after = rest;
      // A name may contain dots, so the longest one that fits is meant.
      if (absl::ConsumePrefix(&after, silo.name) &&
          (after.empty() || after.front() == '.') &&
          silo.name.size() > best.size()) {
        best = silo.name;
      }
    }
    if (!best.empty()) return best;
  }
  return best;
}

std::string DrawGraph(const Output& output, const UnitGraph& graph,
                      const std::vector<DrawnSilo>& silos,
                      absl::string_view only) {
  return Drawing(output, graph, silos, only).Text();
}

}  // namespace vmsilo::unitgen
