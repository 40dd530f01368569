#include "unitgen/unit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace vmsilo::unitgen {
namespace {

absl::string_view Directory(const Unit& unit) {
  return unit.manager == Unit::Manager::kSystem ? "systemd/system/"
                                                : "systemd/user/";
}

// A reason may quote a configuration's text, which could hold a line end.
void AppendComment(absl::string_view text, std::string* out) {
  absl::StrAppend(out, "# ");
  for (const char c : text) {
    out->push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  // A backslash at the end would make the next line a part of this one.
  if (!text.empty() && text.back() == '\\') out->push_back('.');
  out->push_back('\n');
}

}  // namespace

Section& Section::AddList(absl::string_view key,
                          const std::vector<std::string>& words) {
  std::vector<absl::string_view> once;
  for (const std::string& word : words) {
    if (std::find(once.begin(), once.end(), word) == once.end()) {
      once.push_back(word);
    }
  }
  if (!once.empty()) Add(key, absl::StrJoin(once, " "));
  return *this;
}

Section& Unit::In(absl::string_view section) {
  for (Section& existing : sections) {
    if (existing.name == section) return existing;
  }
  sections.push_back({std::string(section), {}});
  return sections.back();
}

std::string UnitPath(const Unit& unit) {
  return absl::StrCat(Directory(unit), unit.name);
}

std::string Render(const Unit& unit) {
  std::string out;
  out.reserve(2048);
  absl::StrAppend(&out,
                  "# Made by vmsilo-unitgen: changes are lost. Settings of "
                  "your own belong\n"
                  "# into the configuration, below units.\"",
                  unit.name, "\", or into a drop-in.\n");
  if (!unit.reason.empty()) {
    AppendComment(absl::StrCat("Exists because it ", unit.reason, "."), &out);
  }
  for (const Section& section : unit.sections) {
    if (section.settings.empty()) continue;
    absl::StrAppend(&out, "\n[", section.name, "]\n");
    for (const Setting& setting : section.settings) {
      if (setting.key == "#") {
        AppendComment(setting.value, &out);
      } else {
        // Not StrAppend(), which fills the string with zeros first.
        out.append(setting.key).append(1, '=');
        out.append(setting.value).append(1, '\n');
      }
    }
  }
  return out;
}

bool AddUnit(const Unit& unit, Output* output) {
  File file;
  file.content = Render(unit);
  file.reason = unit.reason;
  file.keys = unit.keys;
  if (!output->files.emplace(UnitPath(unit), std::move(file)).second) {
    return false;
  }
  for (const Section& section : unit.sections) {
    if (section.name != "Install") continue;
    for (const Setting& setting : section.settings) {
      absl::string_view suffix;
      if (setting.key == "WantedBy") suffix = ".wants/";
      if (setting.key == "RequiredBy") suffix = ".requires/";
      if (suffix.empty()) continue;
      for (const absl::string_view target :
           absl::StrSplit(setting.value, ' ', absl::SkipEmpty())) {
        File link;
        link.kind = File::Kind::kSymlink;
        link.content = absl::StrCat("../", unit.name);
        link.reason = absl::StrCat("starts ", unit.name, " with ", target);
        link.keys = unit.keys;
        output->files.emplace(
            absl::StrCat(Directory(unit), target, suffix, unit.name),
            std::move(link));
      }
    }
  }
  return true;
}

}  // namespace vmsilo::unitgen
