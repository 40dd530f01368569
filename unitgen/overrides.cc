#include "unitgen/overrides.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/parse_size.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/layout.h"
#include "unitgen/setting_names.h"
#include "unitgen/setting_values.h"
#include "unitgen/unit_file.h"
#include "unitgen/unit_graph.h"

namespace vmsilo::unitgen {
namespace {

// systemd reads lines of at most 1 MiB (LONG_LINE_MAX); a list has its own
// way to be long, one line an entry.
constexpr size_t kMaxValueBytes = 65536;

struct Refusal {
  absl::string_view section;
  // Ends in '*' for all names that begin so.
  absl::string_view name;
  absl::string_view reason;
};

constexpr absl::string_view kWhatRuns =
    "it says what the unit runs; programs are set with `paths`, their "
    "arguments with the options of the configuration";
constexpr absl::string_view kReady = "the start order of the units rests on it";
constexpr absl::string_view kWho =
    "files and sockets are made for the user that the unit runs as";
constexpr absl::string_view kWhere =
    "other units reach the sockets in this directory";
constexpr absl::string_view kView =
    "the unit could no longer see the files that it was given";
constexpr absl::string_view kSocket =
    "clients find the silo by it, and its rights keep other users out";

constexpr Refusal kRefusals[] = {
    {"Service", "ExecStart", kWhatRuns},
    {"Service", "ExecStop", kWhatRuns},
    {"Service", "ExecReload", kWhatRuns},
    {"Service", "Type", kReady},
    {"Service", "ExitType", kReady},
    {"Service", "NotifyAccess", kReady},
    {"Service", "RemainAfterExit", kReady},
    {"Service", "PIDFile", kReady},
    {"Service", "GuessMainPID", kReady},
    {"Service", "BusName", kReady},
    {"Service", "User", kWho},
    {"Service", "Group", kWho},
    {"Service", "DynamicUser", kWho},
    {"Service", "PrivateUsers", kWho},
    {"Service", "PAMName", kWho},
    {"Service", "RuntimeDirectory*", kWhere},
    {"Service", "StateDirectory*", kWhere},
    {"Service", "RootDirectory", kView},
    {"Service", "RootDirectoryStartOnly", kView},
    {"Service", "RootImage*", kView},
    {"Service", "MountAPIVFS", kView},
    {"Service", "WorkingDirectory", kView},
    {"Service", "StandardInput*", "the unit's input is part of its work"},
    {"Service", "StandardOutput", "the unit's output is part of its work"},
    {"Service", "Sockets", "the unit would be given other sockets"},
    {"Service", "NonBlocking", "the unit expects its sockets as they are"},
    {"Service", "UMask",
     "it decides who else may use the sockets and files that the unit makes"},
    {"Service", "LogNamespace",
     "`vmsilo logs` would not find what the unit says"},
    {"Service", "KillMode", "processes would be left when the unit stops"},
    {"Service", "SendSIGKILL", "processes would be left when the unit stops"},
    {"Socket", "Listen*", kSocket},
    {"Socket", "Accept", kSocket},
    {"Socket", "Service", kSocket},
    {"Socket", "Socket*", kSocket},
    {"Socket", "DirectoryMode", kSocket},
    {"Socket", "FileDescriptorName", kSocket},
    {"Socket", "Symlinks", kSocket},
    {"Socket", "RemoveOnStop", kSocket},
    {"Unit", "DefaultDependencies",
     "the unit's place in the boot and in the shutdown rests on it"},
    {"Unit", "AllowIsolate", "the unit is no target"},
    {"Unit", "StopWhenUnneeded",
     "it decides which units end with the silo and which do not"},
};

// Yes/no and list settings that keep a service from what it does not need.
constexpr absl::string_view kConfinement[] = {
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DeviceAllow",
    "DevicePolicy",
    "IPAddressAllow",
    "IPAddressDeny",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivateTmp",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "TemporaryFileSystem",
};

const Refusal* FindRefusal(absl::string_view section, absl::string_view name) {
  for (const Refusal& one : kRefusals) {
    if (one.section != section) continue;
    absl::string_view pattern = one.name;
    if (absl::ConsumeSuffix(&pattern, "*") ? absl::StartsWith(name, pattern)
                                           : name == pattern) {
      return &one;
    }
  }
  return nullptr;
}

bool IsName(absl::string_view name) {
  return !name.empty() && absl::ascii_isalpha(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_';
         });
}

// "Service" for "x.service", as far as we generate such units.
absl::string_view SectionOfType(absl::string_view unit) {
  const absl::string_view type = UnitType(unit);
  if (type == "service") return "Service";
  if (type == "socket") return "Socket";
  return "";
}

// A size as systemd writes it; nullopt for percentages, "infinity" and what is
// none.
std::optional<Bytes> SizeOf(absl::string_view value) {
  const absl::StatusOr<Bytes> size = ParseSize(value);
  if (!size.ok()) return std::nullopt;
  return *size;
}

class Overrides {
 public:
  Overrides(const config::Config& config, UnknownUnit unknown,
            const Output& output)
      : config_(config), unknown_(unknown), output_(output) {}

  absl::StatusOr<Output> Apply() {
    result_ = output_;
    for (const auto& [unit, sections] : config_.units) {
      ApplyTo(unit, sections);
    }
    if (errors_.empty() && !config_.units.empty()) CheckCycles();
    if (!errors_.empty()) {
      return absl::InvalidArgumentError(absl::StrJoin(errors_, "\n"));
    }
    return std::move(result_);
  }

 private:
  void Error(absl::string_view key, absl::string_view message) {
    errors_.push_back(absl::StrCat(key, ": ", message));
  }
  void Warn(absl::string_view key, absl::string_view message) {
    result_.warnings.push_back({std::string(key), std::string(message)});
  }

  // The path of a generated unit.
  std::optional<std::string> Find(absl::string_view unit) const {
    for (const absl::string_view directory :
         {"systemd/system/", "systemd/user/"}) {
      std::string path = absl::StrCat(directory, unit);
      const auto found = output_.files.find(path);
      if (found != output_.files.end() &&
          found->second.kind == File::Kind::kRegular) {
        return path;
      }
    }
    return std::nullopt;
  }

  std::string NoSuchUnit(absl::string_view unit) const {
    std::vector<std::string> names;
    for (const auto& [path, file] : output_.files) {
      const absl::string_view name =
          absl::string_view(path).substr(path.rfind('/') + 1);
      if (file.kind == File::Kind::kRegular && Find(name).has_value()) {
        names.emplace_back(name);
      }
    }
    const std::vector<absl::string_view> views(names.begin(), names.end());
    const absl::string_view nearest = config::Nearest(unit, views);
    return absl::StrCat(
        "no unit of the name ", Quoted(unit), " is generated",
        nearest.empty()
            ? std::string("; `vmsilo-unitgen list` shows which are")
            : absl::StrCat("; did you mean ", Quoted(nearest), "?"));
  }

  void ApplyTo(const std::string& unit, const config::UnitSettings& sections) {
    const std::string key = KeyOf(unit, sections);
    const std::optional<std::string> path = Find(unit);
    if (!path.has_value()) {
      if (unknown_ == UnknownUnit::kRefuse ||
          (unknown_ == UnknownUnit::kRefuseImpossible && !IsPossible(unit))) {
        Error(key, NoSuchUnit(unit));
      }
      return;
    }
    const File& file = output_.files.at(*path);
    const absl::StatusOr<std::vector<Assignment>> generated =
        ParseUnitFile(file.content);
    if (!generated.ok()) {
      Error(key, generated.status().message());
      return;
    }

    File drop_in;
    drop_in.content =
        "# From `units` in the configuration; written by vmsilo-unitgen.\n";
    drop_in.reason =
        absl::StrCat("adds the settings that the configuration has for ", unit);
    for (const auto& [section, settings] : sections) {
      const std::string section_key =
          settings.empty() ? absl::StrCat(key, ".", section)
                           : Parent(settings[0].path, settings[0].key);
      if (!CheckSection(section_key, unit, section)) continue;
      absl::StrAppend(&drop_in.content, "[", section, "]\n");
      for (const config::UnitSetting& setting : settings) {
        if (!Check(unit, section, setting, *generated)) continue;
        for (const std::string& value : setting.values) {
          absl::StrAppend(&drop_in.content, setting.key, "=", value, "\n");
        }
        drop_in.keys.push_back(setting.path);
      }
    }
    if (drop_in.keys.empty()) return;
    // A drop-in belongs to the unit's silo.
    drop_in.keys.insert(drop_in.keys.end(), file.keys.begin(), file.keys.end());
    result_.files[absl::StrCat(*path, ".d/50-vmsilo.conf")] =
        std::move(drop_in);
  }

  // Where the section of a setting was written, from the setting's own path:
  // a silo's settings come by a short name.
  static std::string Parent(absl::string_view path, absl::string_view key) {
    if (absl::ConsumeSuffix(&path, key)) absl::ConsumeSuffix(&path, ".");
    return std::string(path);
  }

  static std::string KeyOf(absl::string_view unit,
                           const config::UnitSettings& sections) {
    for (const auto& [section, settings] : sections) {
      if (settings.empty()) continue;
      return Parent(Parent(settings[0].path, settings[0].key), section);
    }
    return absl::StrCat("units.", unit);
  }

  // Whether some configuration of these silos has such a unit.
  bool IsPossible(absl::string_view unit) const {
    for (const config::Vm& vm : config_.vms) {
      for (const absl::string_view role : layout::kRoles) {
        if (unit == layout::UnitForRole(vm.name, role)) return true;
      }
      if (absl::StartsWith(unit,
                           absl::StrCat("vmsilo-", vm.name, "-virtiofsd-"))) {
        return true;
      }
    }
    return std::find(std::begin(layout::kHostUnits),
                     std::end(layout::kHostUnits),
                     unit) != std::end(layout::kHostUnits);
  }

  bool CheckSection(absl::string_view key, absl::string_view unit,
                    absl::string_view section) {
    if (section == "Unit" || section == SectionOfType(unit) ||
        (absl::StartsWith(section, "X-") && IsName(section))) {
      return true;
    }
    if (section == "Install") {
      Error(key,
            "generated units are linked to what starts them; use autoStart, "
            "or WantedBy= of a unit of your own");
      return false;
    }
    const absl::string_view own = SectionOfType(unit);
    std::vector<absl::string_view> sections = {"Unit"};
    if (!own.empty()) sections.push_back(own);
    const absl::string_view nearest = config::Nearest(section, sections);
    Error(key,
          absl::StrCat("not a section of ", Quoted(unit),
                       nearest.empty()
                           ? absl::StrCat("; there ",
                                          sections.size() == 1 ? "is " : "are ",
                                          absl::StrJoin(sections, " and "))
                           : absl::StrCat("; did you mean ", nearest, "?")));
    return false;
  }

  bool Check(const std::string& unit, absl::string_view section,
             const config::UnitSetting& setting,
             const std::vector<Assignment>& generated) {
    const size_t errors = errors_.size();
    const absl::string_view name = setting.key;
    if (!IsName(name)) {
      Error(setting.path, "not the name of a setting: letters, digits and '-'");
      return false;
    }
    for (const std::string& value : setting.values) CheckText(setting, value);
    if (const Refusal* refusal = FindRefusal(section, name);
        refusal != nullptr) {
      Error(setting.path,
            absl::StrCat(name, "= cannot be changed: ", refusal->reason));
    }
    CheckReset(unit, section, setting, generated);
    if (section == "Service" || section == "Socket") CheckValues(setting);
    if (section == "Service") {
      CheckRestart(unit, setting);
      CheckConfinement(unit, setting, generated);
      CheckMemory(unit, setting);
    }
    if (!absl::StartsWith(section, "X-") && !absl::StartsWith(name, "X-")) {
      CheckKnown(section, setting);
    }
    return errors_.size() == errors;
  }

  void CheckText(const config::UnitSetting& setting, absl::string_view value) {
    if (value.size() > kMaxValueBytes) {
      Error(setting.path, absl::StrCat("longer than ", kMaxValueBytes,
                                       " bytes; use a list of values"));
    }
    if (std::any_of(value.begin(), value.end(), [](char c) {
          return absl::ascii_iscntrl(static_cast<unsigned char>(c)) &&
                 c != '\t';
        })) {
      Error(setting.path,
            "a value is one line without control characters; use a list of "
            "values for several lines");
    } else if (absl::EndsWith(value, "\\")) {
      Error(setting.path,
            "a backslash at the end would join the next line to it");
    }
  }

  // An empty value makes systemd forget what the unit said before.
  void CheckReset(const std::string& unit, absl::string_view section,
                  const config::UnitSetting& setting,
                  const std::vector<Assignment>& generated) {
    if (!std::any_of(setting.values.begin(), setting.values.end(),
                     [](const std::string& value) {
                       return absl::StripAsciiWhitespace(value).empty();
                     })) {
      return;
    }
    for (const Assignment& one : generated) {
      if (one.section == section && one.key == setting.key) {
        Error(setting.path,
              absl::StrCat("an empty value would take away what ", unit,
                           " needs: ", one.key, "=", one.value));
        return;
      }
    }
  }

  void CheckValues(const config::UnitSetting& setting) {
    for (const std::string& value : setting.values) {
      const std::optional<std::string> expected =
          ExpectedInstead(setting.key, value);
      if (!expected.has_value()) continue;
      Error(setting.path, absl::StrCat("systemd would ignore ", setting.key,
                                       "=", value, "; it expects ", *expected));
    }
  }

  // An automatic restart is a restart job, and spreads to all that require
  // the unit (systemd.service(5), Restart=).
  void CheckRestart(const std::string& unit,
                    const config::UnitSetting& setting) {
    if (setting.key != "Restart" || setting.values.empty() ||
        setting.values.back() == "no") {
      return;
    }
    const absl::StatusOr<UnitGraph> graph = BuildGraph(output_);
    if (!graph.ok()) return;
    for (const config::Vm& vm : config_.vms) {
      const std::string vm_unit = layout::VmUnit(vm.name);
      if (unit == vm_unit) continue;
      if (graph->edges.contains({vm_unit, unit, Relation::kRequires}) ||
          graph->edges.contains({vm_unit, unit, Relation::kBindsTo})) {
        Error(setting.path,
              absl::StrCat("a restart of ", unit, " would restart ", vm_unit,
                           " with it, which requires it"));
      }
    }
  }

  void CheckConfinement(const std::string& unit,
                        const config::UnitSetting& setting,
                        const std::vector<Assignment>& generated) {
    if (std::find(std::begin(kConfinement), std::end(kConfinement),
                  setting.key) == std::end(kConfinement)) {
      return;
    }
    for (const Assignment& one : generated) {
      if (one.section != "Service" || one.key != setting.key) continue;
      if (!setting.values.empty() && setting.values.back() == one.value) break;
      Warn(setting.path,
           absl::StrCat("changes how ", unit, " is confined; generated is ",
                        one.key, "=", one.value));
      return;
    }
  }

  void CheckMemory(const std::string& unit,
                   const config::UnitSetting& setting) {
    if ((setting.key != "MemoryMax" && setting.key != "MemoryHigh") ||
        setting.values.empty()) {
      return;
    }
    const std::optional<Bytes> limit = SizeOf(setting.values.back());
    if (!limit.has_value()) return;
    for (const config::Vm& vm : config_.vms) {
      if (unit != layout::VmUnit(vm.name) || *limit > vm.memory) continue;
      Warn(setting.path,
           absl::StrCat("the silo has ", FormatSize(vm.memory),
                        " of memory, and its hypervisor needs more than that: "
                        "it will be killed or stall when the guest uses all "
                        "of it; memory sets what the guest has"));
    }
  }

  void CheckKnown(absl::string_view section,
                  const config::UnitSetting& setting) {
    const std::vector<absl::string_view> known = SettingNames(section);
    if (std::find(known.begin(), known.end(), setting.key) != known.end()) {
      return;
    }
    const absl::string_view nearest = config::Nearest(setting.key, known);
    Warn(setting.path,
         absl::StrCat(
             "systemd 252 does not know the setting ", Quoted(setting.key),
             " in [", section, "] and would ignore it",
             nearest.empty() ? std::string()
                             : absl::StrCat("; did you mean ", nearest, "=?")));
  }

  void CheckCycles() {
    const absl::StatusOr<UnitGraph> before = BuildGraph(output_);
    const absl::StatusOr<UnitGraph> after = BuildGraph(result_);
    if (!before.ok() || !after.ok() || before->edges == after->edges) return;
    std::vector<std::string> cycle = FindOrderingCycle(*after);
    if (cycle.empty()) return;
    cycle.push_back(cycle.front());
    Error("units",
          absl::StrCat("the added settings make an ordering cycle, which "
                       "systemd would break by leaving out a unit: ",
                       absl::StrJoin(cycle, " after ")));
  }

  const config::Config& config_;
  const UnknownUnit unknown_;
  const Output& output_;
  Output result_;
  std::vector<std::string> errors_;
};

}  // namespace

absl::Status ApplyOverrides(const config::Config& config, UnknownUnit unknown,
                            Output* output) {
  // A switched-off configuration has no units to add to.
  if (!config.enable || config.units.empty()) return absl::OkStatus();
  absl::StatusOr<Output> result = Overrides(config, unknown, *output).Apply();
  if (!result.ok()) return result.status();
  *output = *std::move(result);
  return absl::OkStatus();
}

}  // namespace vmsilo::unitgen
