#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/value.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/user_database.h"

// From files to a complete and checked Config.
namespace vmsilo::config {

// All files together. A hundred silos with everything on need 200 KB, five
// times less. What hostile TOML costs grows faster than its size: a text of
// this size takes a tenth of the time of one four times larger.
inline constexpr size_t kMaxConfigBytes = size_t{1} << 20;
// Files in one vmsilo.toml.d.
inline constexpr size_t kMaxDropIns = 200;
// /etc/passwd or /etc/group of a large organisation.
inline constexpr size_t kMaxUserDatabaseBytes = 8 << 20;

// One file of the configuration.
struct Source {
  enum class Format { kToml, kJson };

  // For messages.
  std::string name;
  std::string text;
  Format format = Format::kToml;
};

// Where a value was set.
struct Origin {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;

  friend bool operator==(const Origin&, const Origin&) = default;
};

struct LoadResult {
  bool ok() const { return config.has_value(); }

  // Where a key was set, by its path: `vms.work.memory`. Keys with other
  // characters than letters, digits, '_' and '-' may be quoted. Nothing if the
  // key has its default.
  std::optional<Origin> OriginOf(absl::string_view key) const;

  // Absent if there is an error among the diagnostics.
  std::optional<Config> config;
  // With errors in it, but a sound syntax: what there would be to use, with
  // defaults for what is wrong. Only for finding more errors.
  std::optional<Config> draft;
  // In the order of the files and lines.
  std::vector<Diagnostic> diagnostics;
  // The files that were read, in the order in which later ones win.
  std::vector<std::string> files;
  // What they say together; positions count `files`.
  Value tree;
};

// Every file is parsed, and all that is wrong is reported, whatever came
// before. Later sources win key by key. No image.toml is looked for.
LoadResult Compile(const std::vector<Source>& sources,
                   const UserDatabase& users);

struct LoadOptions {
  // The main file (.toml or .json), followed by FILE.d/*.toml and *.json in
  // the order of their names. Absent: first the distribution's
  // /usr/lib/vmsilo/vmsilo.toml and vmsilo.toml.d, then
  // /etc/vmsilo/vmsilo.toml (or, where that is absent, vmsilo.json) and
  // vmsilo.toml.d.
  std::optional<std::string> file;
  // Stands before the default paths, and those of the user database and the
  // images.
  std::string root;
};

// Finds and reads the files, the image.toml of each image that a silo uses
// among them, then compiles them.
LoadResult Load(const LoadOptions& options = {});

}  // namespace vmsilo::config
