#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "config/config.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// What `check` asks the machine that it runs on.
class Host {
 public:
  enum class FileKind { kRegular, kDirectory, kBlockDevice, kOther };
  struct FileFacts {
    FileKind kind = FileKind::kOther;
    mode_t mode = 0;
    uid_t owner = 0;
  };

  virtual ~Host() = default;

  // Follows links. nullopt if there is nothing, or we may not look.
  virtual std::optional<FileFacts> Stat(const std::string& path) = 0;

  // What a small file, such as a kernel's setting, has in it; nullopt if it
  // cannot be read.
  virtual std::optional<std::string> Read(const std::string& path) = 0;

  // What `PROGRAM --version` prints; nullopt if it does not run.
  virtual std::optional<std::string> VersionText(
      const std::string& program) = 0;
};

// This machine.
class RealHost : public Host {
 public:
  std::optional<FileFacts> Stat(const std::string& path) override;
  std::optional<std::string> Read(const std::string& path) override;
  std::optional<std::string> VersionText(const std::string& program) override;
};

// The first MAJOR.MINOR in what a program prints for --version.
std::optional<config::Version> ParseVersionText(absl::string_view text);

// What will keep units from working on this machine, though the configuration
// is valid: programs, images, devices and directories that are missing or that
// the hypervisor's user cannot read, and versions other than the units are
// written for.
std::vector<Warning> CheckHost(const config::Config& config,
                               const Output& output, Host* host);

// One line for each silo: its image, and the files that it boots.
std::vector<std::string> DescribeBoot(const config::Config& config);

// One line for each program that silos run on or get their files from, saying
// whether this release was run against it: "supported" means that the
// released, unmodified program was seen to work, with its version.
std::vector<std::string> DescribeSupport(const config::Config& config,
                                         Host* host);

}  // namespace vmsilo::unitgen
