#include "unitgen/diff.h"

#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "unitgen/unified_diff.h"

namespace vmsilo::unitgen {
namespace {

// One side of a difference, as text.
struct Side {
  std::string kind;  // "mode 0644", "link"; "" where nothing is
  std::string text;
};

Side SideOf(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kRegular:
      return {absl::StrFormat("mode %04o", node.mode), node.content};
    case Node::Kind::kSymlink:
      return {"link", absl::StrCat(node.content, "\n")};
    case Node::Kind::kDirectory:
      return {"directory", ""};
    case Node::Kind::kOther:
      break;
  }
  return {"no regular file, or too large to be shown", ""};
}

Side SideOf(const File& file) {
  if (file.kind == File::Kind::kSymlink) {
    return {"link", absl::StrCat(file.content, "\n")};
  }
  return {absl::StrFormat("mode %04o", file.mode & 07777), file.content};
}

void AppendDiff(absl::string_view path, const Side& before, const Side& after,
                std::string* out) {
  const std::string hunks = UnifiedDiff(before.text, after.text);
  if (hunks.empty() && before.kind == after.kind) return;
  absl::StrAppend(out, "--- ", before.kind.empty() ? "/dev/null" : "/",
                  before.kind.empty() ? "" : path, "\n", "+++ ",
                  after.kind.empty() ? "/dev/null" : "/",
                  after.kind.empty() ? "" : path, "\n");
  // Lines that patch(1) takes for comments.
  if (before.kind != after.kind && !before.kind.empty() &&
      !after.kind.empty()) {
    absl::StrAppend(out, "# was: ", before.kind, "\n# becomes: ", after.kind,
                    "\n");
  }
  absl::StrAppend(out, hunks);
}

}  // namespace

std::string DiffInstalled(const std::map<std::string, File>& wanted,
                          const Manifest& manifest, const Nodes& present) {
  std::set<std::string> paths;
  for (const auto& [path, file] : wanted) paths.insert(path);
  for (const auto& [path, fingerprints] : manifest.files) paths.insert(path);
  std::string out;
  for (const std::string& path : paths) {
    const auto node = present.find(path);
    const auto file = wanted.find(path);
    AppendDiff(path, node == present.end() ? Side() : SideOf(node->second),
               file == wanted.end() ? Side() : SideOf(file->second), &out);
  }
  return out;
}

std::string Coloured(absl::string_view diff) {
  std::string out;
  for (const absl::string_view line : absl::StrSplit(diff, '\n')) {
    absl::string_view colour;
    if (absl::StartsWith(line, "---") || absl::StartsWith(line, "+++")) {
      colour = "1";  // bold
    } else if (absl::StartsWith(line, "@@")) {
      colour = "36";  // cyan
    } else if (absl::StartsWith(line, "+")) {
      colour = "32";  // green
    } else if (absl::StartsWith(line, "-")) {
      colour = "31";  // red
    }
    if (!out.empty()) out += '\n';
    if (colour.empty()) {
      absl::StrAppend(&out, line);
    } else {
      absl::StrAppend(&out, "\x1b[", colour, "m", line, "\x1b[0m");
    }
  }
  return out;
}

}  // namespace vmsilo::unitgen
