#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unitgen/output.h"
#include "unitgen/tree.h"

namespace vmsilo::unitgen {

// What an installed file looked like when we made it: enough to tell whether
// somebody has changed it since, not enough to restore it.
struct Fingerprint {
  File::Kind kind = File::Kind::kRegular;
  mode_t mode = 0;     // of a regular file
  uint64_t size = 0;   // of a regular file
  std::string sha256;  // of a regular file: 64 lower-case hexadecimal digits
  std::string target;  // of a symbolic link

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

Fingerprint FingerprintOf(const File& file);
bool Matches(const Fingerprint& fingerprint, const Node& node);

// What vmsilo-unitgen has installed, kept in manifest.json. All paths are
// relative to the root of the installation.
struct Manifest {
  // Directories that we made, to be removed when they are empty.
  std::set<std::string> directories;
  // Files that we made. While an installation is under way a file has more
  // than one fingerprint: of what it was, and of what it may be already.
  std::map<std::string, std::vector<Fingerprint>> files;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// One for each installation that was interrupted, one after the other, and
// changed the same file.
inline constexpr size_t kMaxFingerprints = 64;

std::string PrintManifest(const Manifest& manifest);

// InvalidArgument for anything that PrintManifest cannot have printed, also
// for paths that could lead out of the root: what is in here gets deleted.
absl::StatusOr<Manifest> ParseManifest(absl::string_view json);

// A path that can be in a manifest: relative, no empty component, no "." and
// "..", no NUL.
bool IsManifestPath(absl::string_view path);

}  // namespace vmsilo::unitgen
