#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unitgen/install_plan.h"
#include "unitgen/manifest.h"
#include "unitgen/output.h"
#include "unitgen/tree.h"

namespace vmsilo::unitgen {

// Where the manifest is, below the root of an installation.
inline constexpr absl::string_view kManifestPath =
    "var/lib/vmsilo/manifest.json";
inline constexpr absl::string_view kManifestDirectory = "var/lib/vmsilo";

// Makes the manifest's directory and those above it where they are missing.
absl::Status MakeManifestDirectory(Tree* tree);

// The manifest of a tree; an empty one where there is none. DataLoss with the
// way out if it cannot be understood.
absl::StatusOr<Manifest> ReadManifest(Tree* tree);

// What is at these paths.
absl::StatusOr<Nodes> LookAt(const std::vector<std::string>& paths, Tree* tree);

// Brings the tree to what `output` says and returns what was done.
//
// It can be interrupted after any step, by a failure or by a power cut, and
// be run again: the manifest always lists every file that we have made, no
// file is ever half written, and what is not ours is not touched. Units change
// their content in one burst of renames at the end. MakeManifestDirectory()
// comes before, and so does a lock.
absl::StatusOr<InstallPlan> Install(const Output& output, Tree* tree);

// The path of a generator of systemd that would run vmsilo-unitgen at boot,
// relative to the root of `tree`; "" if there is none or it is masked.
absl::StatusOr<std::string> ActiveGenerator(Tree* tree);

}  // namespace vmsilo::unitgen
