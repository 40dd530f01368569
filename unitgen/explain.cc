#include "unitgen/explain.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/escape.h"
#include "config/diagnostics.h"

namespace vmsilo::unitgen {
namespace {

absl::string_view LastPart(absl::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// Files that people ask for: not the links by which units are wanted.
bool IsShown(const File& file) { return file.kind == File::Kind::kRegular; }

// "a@.service" for "a@b.service".
std::string TemplateOf(absl::string_view unit) {
  const size_t at = unit.find('@');
  const size_t dot = unit.rfind('.');
  if (at == absl::string_view::npos || dot == absl::string_view::npos ||
      dot < at) {
    return std::string(unit);
  }
  return absl::StrCat(unit.substr(0, at + 1), unit.substr(dot));
}

// Names of units are unique, and a drop-in's says little without its unit's;
// other files have names such as vmsilo.conf in several directories.
absl::string_view ListedName(absl::string_view path) {
  absl::string_view name = path;
  if (absl::ConsumePrefix(&name, "systemd/system/") ||
      absl::ConsumePrefix(&name, "systemd/user/")) {
    return name;
  }
  return path;
}

std::optional<std::string> FindPath(const Output& output,
                                    const UnitGraph& graph,
                                    absl::string_view name) {
  const std::string candidates[] = {
      std::string(name), absl::StrCat(name, ".service"),
      absl::StrCat(name, ".socket"), TemplateOf(name),
      TemplateOf(absl::StrCat(name, ".service"))};
  for (const std::string& candidate : candidates) {
    const auto unit = graph.units.find(candidate);
    if (unit != graph.units.end()) return unit->second;
  }
  for (const auto& [path, file] : output.files) {
    if (IsShown(file) && (LastPart(path) == name || path == name)) return path;
  }
  return std::nullopt;
}

absl::Status NoSuchFile(const Output& output, absl::string_view name) {
  std::vector<absl::string_view> names;
  for (const auto& [path, file] : output.files) {
    if (IsShown(file)) names.push_back(LastPart(path));
  }
  const absl::string_view nearest = config::Nearest(name, names);
  return absl::NotFoundError(absl::StrCat(
      "the configuration generates nothing called ", Quoted(name),
      nearest.empty()
          ? std::string("; `vmsilo-unitgen list` shows what it does")
          : absl::StrCat("; did you mean ", Quoted(nearest), "?")));
}

void AppendLine(absl::string_view label, absl::string_view text,
                std::string* out) {
  absl::StrAppendFormat(out, "  %-13s%s\n", label, text);
}

// One line a relation; the other ends in byte order.
void AppendRelations(absl::string_view unit, const UnitGraph& graph,
                     std::string* out) {
  struct Line {
    absl::string_view label;
    std::set<Relation> relations;
    bool incoming;
  };
  const Line lines[] = {
      {"started by", {Relation::kWants, Relation::kActivates}, true},
      {"required by", {Relation::kRequires, Relation::kBindsTo}, true},
      {"requires", {Relation::kRequires, Relation::kBindsTo}, false},
      {"wants", {Relation::kWants}, false},
      {"activates", {Relation::kActivates}, false},
      {"part of", {Relation::kPartOf}, false},
      {"after", {Relation::kAfter}, false},
      {"before", {Relation::kAfter}, true},
  };
  for (const Line& line : lines) {
    std::set<absl::string_view> others;
    for (const Edge& edge : graph.edges) {
      if (!line.relations.contains(edge.relation)) continue;
      if (line.incoming && edge.to == unit) others.insert(edge.from);
      if (!line.incoming && edge.from == unit) others.insert(edge.to);
    }
    absl::string_view label = line.label;
    for (const absl::string_view other : others) {
      AppendLine(label, other, out);
      label = "";
    }
  }
}

}  // namespace

absl::StatusOr<std::string> Explain(const Output& output,
                                    const UnitGraph& graph,
                                    absl::string_view name,
                                    const OriginOf& origin_of) {
  const std::optional<std::string> path = FindPath(output, graph, name);
  if (!path.has_value()) return NoSuchFile(output, name);
  const File& file = output.files.at(*path);
  const std::string unit(LastPart(*path));

  std::string out = absl::StrCat(unit, "\n");
  AppendLine("exists", absl::StrCat("because it ", file.reason), &out);
  AppendLine("file", *path, &out);
  for (const auto& [other_path, other] : output.files) {
    if (absl::StartsWith(other_path, absl::StrCat(*path, ".d/"))) {
      AppendLine("drop-in", other_path, &out);
    }
  }
  size_t width = 0;
  for (const std::string& key : file.keys) width = std::max(width, key.size());
  absl::string_view label = file.keys.size() == 1 ? "option" : "options";
  for (const std::string& key : file.keys) {
    AppendLine(label,
               absl::StrFormat("%-*s  %s", static_cast<int>(width), key,
                               origin_of(key)),
               &out);
    label = "";
  }
  if (graph.units.contains(unit)) AppendRelations(unit, graph, &out);
  return out;
}

std::string List(const Output& output, bool paths) {
  std::string out;
  size_t width = 0;
  for (const auto& [path, file] : output.files) {
    if (IsShown(file)) width = std::max(width, ListedName(path).size());
  }
  for (const auto& [path, file] : output.files) {
    if (paths) {
      absl::StrAppend(&out, path, "\n");
    } else if (IsShown(file)) {
      absl::StrAppendFormat(&out, "%-*s  %s\n", static_cast<int>(width),
                            ListedName(path), file.reason);
    }
  }
  return out;
}

}  // namespace vmsilo::unitgen
