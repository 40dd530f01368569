#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// One line of a unit file. The value is already quoted for its setting
// (common/systemd_quote.h). The key "#" makes a comment.
struct Setting {
  std::string key;
  std::string value;

  friend bool operator==(const Setting&, const Setting&) = default;
};

struct Section {
  std::string name;
  std::vector<Setting> settings;

  Section& Add(absl::string_view key, absl::string_view value) {
    // Hardening alone has some thirty, and a boot waits for all units.
    if (settings.empty()) settings.reserve(64);
    settings.push_back({std::string(key), std::string(value)});
    return *this;
  }
  // The same if there is a value.
  Section& AddIf(bool condition, absl::string_view key,
                 absl::string_view value) {
    if (condition) Add(key, value);
    return *this;
  }
  // One line for words that are a list; none for an empty one. Repeated words
  // count once, the first keeps its place.
  Section& AddList(absl::string_view key,
                   const std::vector<std::string>& words);

  friend bool operator==(const Section&, const Section&) = default;
};

// A unit file as data, so that settings can be looked at and changed before
// it becomes text.
struct Unit {
  enum class Manager { kSystem, kUser };

  // With suffix: "vmsilo-work-vm.service".
  std::string name;
  Manager manager = Manager::kSystem;
  // As in File.
  std::string reason;
  std::vector<std::string> keys;
  // In the order of the file.
  std::vector<Section> sections;

  // The section of that name, made at the end if there is none. The reference
  // holds until the next section is made.
  Section& In(absl::string_view section);
};

// "systemd/system/NAME" or "systemd/user/NAME".
std::string UnitPath(const Unit& unit);

// The file's text: a head that says where it comes from, then the sections.
std::string Render(const Unit& unit);

// Adds the unit's file, and for WantedBy= and RequiredBy= in its [Install]
// section the links that `systemctl enable` would make. False, and nothing
// done, if a file has that path already.
bool AddUnit(const Unit& unit, Output* output);

}  // namespace vmsilo::unitgen
