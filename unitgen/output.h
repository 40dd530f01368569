#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace vmsilo::unitgen {

// One file that a configuration asks for.
struct File {
  enum class Kind { kRegular, kSymlink };

  Kind kind = Kind::kRegular;
  // A regular file's text, or what a symbolic link points to.
  std::string content;
  // Permission bits of a regular file; links have none.
  mode_t mode = 0644;
  // Why the file exists, as one sentence without a full stop: "shares
  // '/srv/music' with silo 'work'".
  std::string reason;
  // The configuration's keys that led to it, as paths such as
  // "vms.work.sharedDirectories.music"; the most telling first.
  std::vector<std::string> keys;

  friend bool operator==(const File&, const File&) = default;
};

// Something that was left out or will not work, though the configuration is
// valid.
struct Warning {
  // The key that it is about, as in File::keys.
  std::string key;
  std::string message;

  friend bool operator==(const Warning&, const Warning&) = default;
};

// Everything that one configuration generates.
struct Output {
  // By path relative to the layout's root, without "." and ".." and without a
  // leading slash: "systemd/system/vmsilo-work-vm.service". In byte order, so
  // that the same configuration gives the same bytes.
  std::map<std::string, File> files;
  std::vector<Warning> warnings;

  friend bool operator==(const Output&, const Output&) = default;
};

}  // namespace vmsilo::unitgen
