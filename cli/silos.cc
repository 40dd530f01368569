#include "cli/silos.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/explain.h"
#include "cli/service_manager.h"
#include "common/escape.h"
#include "common/status_macros.h"
#include "config/layout.h"

namespace vmsilo::cli {

absl::Status CheckSiloName(absl::string_view name) {
  bool is_good = !name.empty() && absl::ascii_isalnum(name[0]);
  for (const char c : name) {
    is_good =
        is_good && (absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-');
  }
  if (is_good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(name),
                   " is not the name of a silo: those begin with a letter or "
                   "digit and hold letters, digits, '_', '.' and '-'"));
}

std::string SiloOfVmUnit(absl::string_view unit) {
  // What a unit of the silo named "*" would have around its name.
  const std::string pattern = layout::VmUnit("*");
  const size_t star = pattern.find('*');
  const absl::string_view before = absl::string_view(pattern).substr(0, star);
  const absl::string_view after = absl::string_view(pattern).substr(star + 1);
  if (unit.size() <= before.size() + after.size() ||
      !absl::StartsWith(unit, before) || !absl::EndsWith(unit, after)) {
    return "";
  }
  const absl::string_view name =
      unit.substr(before.size(), unit.size() - before.size() - after.size());
  return CheckSiloName(name).ok() ? std::string(name) : "";
}

std::vector<std::string> UnitsOfSilo(absl::string_view silo) {
  return {layout::VmUnit(silo),
          layout::SocketUnit(silo),
          layout::PrepUnit(silo),
          layout::ConsoleRelayUnit(silo),
          layout::ConsoleSocketUnit(silo),
          layout::WaylandSeccontextUnit(silo),
          layout::GpuUnit(silo),
          layout::SoundUnit(silo),
          layout::TrayUnit(silo),
          layout::UsbAttachUnit(silo)};
}

absl::StatusOr<std::vector<std::string>> FindSilos(ServiceManager* manager) {
  VMSILO_ASSIGN_OR_RETURN(const std::vector<std::string> units,
                          manager->FindUnits({layout::VmUnit("*")}));
  std::vector<std::string> names;
  for (const std::string& unit : units) {
    std::string name = SiloOfVmUnit(unit);
    if (!name.empty()) names.push_back(std::move(name));
  }
  return names;
}

InstalledSilos FindInstalled(ServiceManager* manager) {
  InstalledSilos installed;
  if (manager == nullptr) return installed;
  absl::StatusOr<std::vector<std::string>> names = FindSilos(manager);
  if (names.ok()) installed.names = *std::move(names);
  const absl::StatusOr<UnitState> error =
      manager->GetUnit(layout::kConfigurationErrorUnit);
  installed.is_configuration_broken =
      error.ok() && error->load_state == "loaded";
  return installed;
}

}  // namespace vmsilo::cli
