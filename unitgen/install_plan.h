#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "unitgen/manifest.h"
#include "unitgen/output.h"
#include "unitgen/tree.h"

namespace vmsilo::unitgen {

// Where generated files go below the root of an installation.
inline constexpr absl::string_view kInstallPrefix = "etc/";

// The files of `output` by the path where they are installed.
std::map<std::string, File> InstalledFiles(const Output& output);

// A file that an installation leaves as it is.
struct KeptFile {
  enum class Why {
    // Not made by us, and something else than what is wanted.
    kForeign,
    // Made by us and changed since; still wanted, in another form.
    kChanged,
    // Made by us and changed since; no longer wanted. From now on foreign.
    kChangedAndObsolete,
  };

  std::string path;
  Why why = Why::kForeign;

  friend bool operator==(const KeptFile&, const KeptFile&) = default;
};

// What an installation has to do.
struct InstallPlan {
  // Parents first.
  std::vector<std::string> make_directories;
  // In byte order, as all that follows.
  std::vector<std::string> create;
  std::vector<std::string> replace;
  std::vector<std::string> remove;
  // Deepest first; those that turn out not to be empty stay.
  std::vector<std::string> remove_directories;
  std::vector<KeptFile> kept;
  size_t unchanged = 0;

  // To be on the disk before the first file is touched: everything that may
  // be ours at any moment of the installation.
  Manifest during;
  // To be on the disk afterwards, when all of remove_directories are gone.
  Manifest after;

  // Whether there is a file to make, replace or remove.
  bool changes_files() const {
    return !create.empty() || !replace.empty() || !remove.empty();
  }
};

// What is there, by path; a path that is missing here has nothing. Complete
// for all paths that PathsToLookAt() gives.
using Nodes = std::map<std::string, Node>;

// Every file and directory that a plan depends on.
std::vector<std::string> PathsToLookAt(
    const std::map<std::string, File>& wanted, const Manifest& manifest);

// Decides about each file. What is not as the manifest says was changed by
// somebody else and stays; so does what the manifest does not know, unless it
// is exactly what is wanted.
InstallPlan PlanInstall(const std::map<std::string, File>& wanted,
                        const Manifest& manifest, const Nodes& present);

}  // namespace vmsilo::unitgen
