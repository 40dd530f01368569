#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// The commands of vmsilo-unitgen: what they read, print and change. A
// configuration that cannot be used ends each of them with its errors on
// stderr and exit code 78.
namespace vmsilo::unitgen {

struct Flags {
  // Empty for the default files.
  std::string config;
  std::string root = "/";
  std::string output;
  bool svg = false;
  bool paths = false;
  bool configuration_only = false;
};

absl::Status Check(const Flags& flags);
absl::Status GenerateInto(const Flags& flags);
// Exit code 1 if there are differences.
absl::Status Diff(const Flags& flags);
absl::Status InstallFiles(const Flags& flags);
absl::Status Uninstall(const Flags& flags);
absl::Status ListFiles(const Flags& flags);
// `silo` may be empty, for all.
absl::Status Graph(const Flags& flags, const std::string& silo);
absl::Status ExplainUnit(const Flags& flags, const std::string& unit);

// What systemd's call of a generator does with its first directory: writes
// the system units, or the unit that fails with the errors. No units and no
// error without a configuration: the package may be installed and not used.
// Returns the exit code.
int RunGenerator(const Flags& flags, const std::string& directory);

}  // namespace vmsilo::unitgen
