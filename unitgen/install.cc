#include "unitgen/install.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::unitgen {
namespace {

// Where systemd looks for generators; an earlier one hides those after it
// (man 7 systemd.generator).
constexpr std::array<absl::string_view, 4> kGenerators = {
    "run/systemd/system-generators/vmsilo-unitgen",
    "etc/systemd/system-generators/vmsilo-unitgen",
    "usr/local/lib/systemd/system-generators/vmsilo-unitgen",
    "usr/lib/systemd/system-generators/vmsilo-unitgen",
};

absl::Status WriteManifest(const Manifest& manifest, Tree* tree) {
  File file;
  file.content = PrintManifest(manifest);
  VMSILO_RETURN_IF_ERROR(tree->Stage(kManifestPath, file));
  // Its bytes are on the disk before its name is, or a power cut could leave
  // an empty manifest.
  VMSILO_RETURN_IF_ERROR(tree->Sync());
  VMSILO_RETURN_IF_ERROR(tree->Commit(kManifestPath, /*replace=*/true));
  return tree->Sync();
}

// Writes all new files beside their places. On a failure nothing of them is
// left.
absl::Status StageAll(const std::map<std::string, File>& wanted,
                      const InstallPlan& plan, Tree* tree) {
  for (const std::string& directory : plan.make_directories) {
    VMSILO_RETURN_IF_ERROR(tree->MakeDirectory(directory));
  }
  for (const auto* paths : {&plan.create, &plan.replace}) {
    for (const std::string& path : *paths) {
      VMSILO_RETURN_IF_ERROR(tree->Stage(path, wanted.at(path)));
    }
  }
  return tree->Sync();
}

// An interrupted run may have left temporary files beside any file of its
// manifest, also beside those which are no longer wanted.
absl::Status DiscardAll(const Manifest& manifest, Tree* tree) {
  for (const auto& [path, fingerprints] : manifest.files) {
    VMSILO_RETURN_IF_ERROR(tree->Discard(path));
  }
  return absl::OkStatus();
}

absl::Status CommitAll(const InstallPlan& plan, Tree* tree) {
  for (const std::string& path : plan.create) {
    VMSILO_RETURN_IF_ERROR(tree->Commit(path, /*replace=*/false));
  }
  for (const std::string& path : plan.replace) {
    VMSILO_RETURN_IF_ERROR(tree->Commit(path, /*replace=*/true));
  }
  for (const std::string& path : plan.remove) {
    VMSILO_RETURN_IF_ERROR(tree->Remove(path));
  }
  return absl::OkStatus();
}

// A temporary file can only be left where the last run did not come to its
// end, and then a file has two fingerprints or is missing.
bool MayBeInterrupted(const Manifest& manifest, const Nodes& present) {
  return std::any_of(
      manifest.files.begin(), manifest.files.end(), [&](const auto& entry) {
        return entry.second.size() != 1 || !present.contains(entry.first);
      });
}

}  // namespace

absl::Status MakeManifestDirectory(Tree* tree) {
  for (const absl::string_view directory : {"var", "var/lib"}) {
    VMSILO_RETURN_IF_ERROR(tree->MakeDirectory(directory));
  }
  return tree->MakeDirectory(kManifestDirectory);
}

absl::StatusOr<Manifest> ReadManifest(Tree* tree) {
  VMSILO_ASSIGN_OR_RETURN(const std::optional<Node> node,
                          tree->Look(kManifestPath));
  if (!node.has_value()) return Manifest();
  absl::StatusOr<Manifest> manifest =
      node->kind == Node::Kind::kRegular
          ? ParseManifest(node->content)
          : absl::InvalidArgumentError("not a regular file of its size");
  if (manifest.ok()) return manifest;
  return absl::DataLossError(absl::StrCat(
      "the list of installed files, /", kManifestPath,
      ", cannot be understood (", manifest.status().message(),
      "); move it away and install again: files that are as they should be "
      "are taken over, all others stay for you to look at"));
}

absl::StatusOr<Nodes> LookAt(const std::vector<std::string>& paths,
                             Tree* tree) {
  Nodes present;
  for (const std::string& path : paths) {
    VMSILO_ASSIGN_OR_RETURN(std::optional<Node> node, tree->Look(path));
    if (node.has_value()) {
      present.emplace_hint(present.end(), path, *std::move(node));
    }
  }
  return present;
}

absl::StatusOr<InstallPlan> Install(const Output& output, Tree* tree) {
  VMSILO_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(tree));
  const std::map<std::string, File> wanted = InstalledFiles(output);
  VMSILO_ASSIGN_OR_RETURN(const Nodes present,
                          LookAt(PathsToLookAt(wanted, manifest), tree));
  InstallPlan plan = PlanInstall(wanted, manifest, present);

  if (MayBeInterrupted(manifest, present)) {
    VMSILO_RETURN_IF_ERROR(
        Annotate(DiscardAll(manifest, tree), "clean up after the last run"));
  }
  if (plan.changes_files()) {
    if (plan.during != manifest) {
      VMSILO_RETURN_IF_ERROR(
          Annotate(WriteManifest(plan.during, tree), "nothing was installed"));
    }
    if (absl::Status staged = StageAll(wanted, plan, tree); !staged.ok()) {
      // What cannot be removed now is removed by the next run.
      (void)DiscardAll(plan.during, tree);
      return Annotate(staged, "nothing was installed");
    }
    VMSILO_RETURN_IF_ERROR(Annotate(
        CommitAll(plan, tree),
        "only some of the files are installed; install again when this is "
        "mended"));
  }
  for (const std::string& directory : plan.remove_directories) {
    VMSILO_RETURN_IF_ERROR(tree->RemoveDirectory(directory));
    VMSILO_ASSIGN_OR_RETURN(const std::optional<Node> left,
                            tree->Look(directory));
    if (left.has_value()) plan.after.directories.insert(directory);
  }
  if (plan.after != manifest) {
    // Removed files stay removed before they are forgotten.
    VMSILO_RETURN_IF_ERROR(tree->Sync());
    VMSILO_RETURN_IF_ERROR(
        Annotate(WriteManifest(plan.after, tree),
                 "the files are installed, but their list is not up to date"));
  }
  return plan;
}

absl::StatusOr<std::string> ActiveGenerator(Tree* tree) {
  for (const absl::string_view path : kGenerators) {
    const absl::StatusOr<std::optional<Node>> node = tree->Look(path);
    // A directory on the way that is a link, such as an unmerged /usr/lib's,
    // is not where distributions put generators.
    if (absl::IsFailedPrecondition(node.status())) continue;
    VMSILO_RETURN_IF_ERROR(node.status());
    if (!node->has_value()) continue;
    const Node& found = **node;
    const bool masked =
        found.kind == Node::Kind::kSymlink && found.content == "/dev/null";
    const bool executable =
        found.kind == Node::Kind::kSymlink || (found.mode & 0111) != 0;
    return masked || !executable ? std::string() : std::string(path);
  }
  return std::string();
}

}  // namespace vmsilo::unitgen
