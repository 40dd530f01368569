#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {

// One section of a unit file. Values are already quoted for their settings
// (common/systemd_quote.h). Text from the first, since a configuration has
// tens of thousands of lines, which are made at every boot.
class Section {
 public:
  explicit Section(absl::string_view name) : name_(name) {
    text_.reserve(2048);  // What most services have.
  }

  // The key "#" makes a comment.
  Section& Add(absl::string_view key, absl::string_view value);
  // The same if there is a value.
  Section& AddIf(bool condition, absl::string_view key,
                 absl::string_view value) {
    if (condition) Add(key, value);
    return *this;
  }
  // Whole lines that are always the same, each with its end.
  Section& AddLines(absl::string_view lines) {
    text_.append(lines.data(), lines.size());
    return *this;
  }
  // One line for words that are a list; none for an empty one. Repeated words
  // count once, the first keeps its place.
  Section& AddList(absl::string_view key,
                   const std::vector<std::string>& words);

  absl::string_view name() const { return name_; }
  // Its lines.
  const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

struct Unit {
  enum class Manager { kSystem, kUser };

  // With suffix: "vmsilo-work-vm.service".
  std::string name;
  Manager manager = Manager::kSystem;
  // As in File.
  std::string reason;
  std::vector<std::string> keys;
  // What starts it: the units of WantedBy=.
  std::vector<std::string> wanted_by;
  // In the order of the file, without [Install].
  std::vector<Section> sections;

  // The section of that name, made at the end if there is none. The reference
  // holds until the next section is made.
  Section& In(absl::string_view section);
};

// "systemd/system/NAME" or "systemd/user/NAME".
std::string UnitPath(const Unit& unit);

// The file's text: a head that says where it comes from, then the sections.
std::string Render(const Unit& unit);

// Adds the unit's file, and for `wanted_by` the links that `systemctl enable`
// would make. False, and nothing
// done, if a file has that path already.
bool AddUnit(const Unit& unit, Output* output);

}  // namespace vmsilo::unitgen
