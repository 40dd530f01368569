#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "config/config.h"
#include "unitgen/mode.h"
#include "unitgen/output.h"
#include "unitgen/unit.h"

namespace vmsilo::unitgen {

// One run of Generate(): the configuration, and what came out of it so far.
class Context {
 public:
  Context(const config::Config& config, const Mode& mode)
      : config_(config), mode_(mode) {}

  const config::Config& config() const { return config_; }
  const Mode& mode() const { return mode_; }

  // A command line for Exec…=; `prefix` are systemd's own characters, such as
  // "+". A program that no line can name is an error at `key`.
  std::string Exec(absl::string_view prefix,
                   const std::vector<std::string>& argv, absl::string_view key);
  // A path for a list of paths; an error at `key` if it cannot be written.
  std::string Path(absl::string_view path, absl::string_view key);
  // `NAME=VALUE` for Environment=, the same way.
  std::string Environment(absl::string_view name, absl::string_view value,
                          absl::string_view key);

  // Adds a unit, and the links that enable it.
  void Emit(Unit unit);
  // Adds another file; `path` as in Output.
  void EmitFile(std::string path, File file);
  void Error(absl::string_view key, absl::string_view message);

  absl::Status status() const;
  Output TakeOutput() && { return std::move(output_); }

 private:
  const config::Config& config_;
  const Mode mode_;
  Output output_;
  std::vector<std::string> errors_;
};

// ExecStartPost=: `vmsilo-prepare wait` with these arguments, which holds back
// what comes after the unit. It ends with the unit's main process.
std::string WaitCommand(const std::vector<std::string>& arguments,
                        Context* context);

// "vms.work" and "vms.work.sound".
std::string VmKey(const config::Vm& vm);
std::string VmKey(const config::Vm& vm, absl::string_view option);

}  // namespace vmsilo::unitgen
