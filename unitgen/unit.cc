#include "unitgen/unit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace vmsilo::unitgen {
namespace {

absl::string_view Directory(const Unit& unit) {
  return unit.manager == Unit::Manager::kSystem ? "systemd/system/"
                                                : "systemd/user/";
}

// A reason may quote a configuration's text, which could hold a line end.
void AppendComment(absl::string_view text, std::string* out) {
  absl::StrAppend(out, "# ");
  const size_t begin = out->size();
  out->append(text.data(), text.size());
  for (size_t i = begin; i < out->size(); ++i) {
    if (static_cast<unsigned char>((*out)[i]) < 0x20) (*out)[i] = ' ';
  }
  // A backslash at the end would make the next line a part of this one.
  if (!text.empty() && text.back() == '\\') out->push_back('.');
  out->push_back('\n');
}

}  // namespace

Section& Section::Add(absl::string_view key, absl::string_view value) {
  if (key == "#") {
    AppendComment(value, &text_);
  } else {
    // Not by StrAppend(), which first fills the room with zeros: this makes
    // most of what is generated.
    text_.append(key.data(), key.size());
    text_.push_back('=');
    text_.append(value.data(), value.size());
    text_.push_back('\n');
  }
  return *this;
}

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
    if (existing.name() == section) return existing;
  }
  sections.emplace_back(section);
  return sections.back();
}

std::string UnitPath(const Unit& unit) {
  return absl::StrCat(Directory(unit), unit.name);
}

std::string Render(const Unit& unit) {
  std::string out;
  // Besides the sections' text: the head, twice the name, "[Unit]" and so on.
  // Room that is not used would be a third of what all units take up.
  size_t size = 256 + 2 * unit.name.size() + unit.reason.size();
  for (const Section& section : unit.sections) {
    size += section.text().size() + section.name().size() + 4;
  }
  out.reserve(size);
  absl::StrAppend(&out,
                  "# Made by vmsilo-unitgen: do not change it. Settings of "
                  "your own belong\n"
                  "# into the configuration, below units.\"",
                  unit.name, "\", or into a drop-in.\n");
  if (!unit.reason.empty()) {
    AppendComment(absl::StrCat("Exists because it ", unit.reason, "."), &out);
  }
  for (const Section& section : unit.sections) {
    if (section.text().empty()) continue;
    absl::StrAppend(&out, "\n[", section.name(), "]\n");
    out.append(section.text());
  }
  if (!unit.wanted_by.empty()) {
    absl::StrAppend(&out, "\n[Install]\nWantedBy=",
                    absl::StrJoin(unit.wanted_by, " "), "\n");
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
  for (const std::string& target : unit.wanted_by) {
    File link;
    link.kind = File::Kind::kSymlink;
    link.content = absl::StrCat("../", unit.name);
    link.reason = absl::StrCat("starts ", unit.name, " with ", target);
    link.keys = unit.keys;
    output->files.emplace(
        absl::StrCat(Directory(unit), target, ".wants/", unit.name),
        std::move(link));
  }
  return true;
}

}  // namespace vmsilo::unitgen
