#include "unitgen/install_report.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace vmsilo::unitgen {
namespace {

constexpr absl::string_view kSystemUnits = "etc/systemd/system/";

std::string Files(size_t count) {
  return absl::StrCat(count, count == 1 ? " file" : " files");
}

bool Touches(const InstallPlan& plan, absl::string_view prefix) {
  for (const auto* paths : {&plan.create, &plan.replace, &plan.remove}) {
    for (const std::string& path : *paths) {
      if (absl::StartsWith(path, prefix)) return true;
    }
  }
  return false;
}

// The units that the new links of targets want: what a boot would start.
std::set<std::string> NewlyWanted(const InstallPlan& plan) {
  std::set<std::string> units;
  for (const std::string& path : plan.create) {
    absl::string_view rest = path;
    if (!absl::ConsumePrefix(&rest, kSystemUnits)) continue;
    const size_t slash = rest.find('/');
    if (slash == absl::string_view::npos ||
        !absl::EndsWith(rest.substr(0, slash), ".target.wants")) {
      continue;
    }
    units.emplace(rest.substr(slash + 1));
  }
  return units;
}

// Templates have no state of their own to stop.
std::set<std::string> RemovedUnits(const InstallPlan& plan) {
  std::set<std::string> units;
  for (const std::string& path : plan.remove) {
    absl::string_view rest = path;
    if (!absl::ConsumePrefix(&rest, kSystemUnits)) continue;
    if (absl::StrContains(rest, '/')) continue;
    if (absl::StrContains(rest, "@.")) {
      units.emplace(absl::StrCat("'", rest.substr(0, rest.find('@')), "@*'"));
    } else {
      units.emplace(rest);
    }
  }
  return units;
}

// Units that may be running with what they were: their files or drop-ins are
// other ones now. Templates are left out, since each instance ends by itself.
std::set<std::string> ChangedUnits(const InstallPlan& plan) {
  std::set<std::string> units;
  const auto add = [&](absl::string_view path, bool only_drop_ins) {
    absl::string_view unit = path;
    if (!absl::ConsumePrefix(&unit, kSystemUnits)) return;
    const size_t slash = unit.find('/');
    if (slash == absl::string_view::npos) {
      if (only_drop_ins) return;
    } else {
      unit = unit.substr(0, slash);
      if (!absl::ConsumeSuffix(&unit, ".d")) return;
    }
    if (!absl::StrContains(unit, "@.")) units.emplace(unit);
  };
  for (const std::string& path : plan.replace)
    add(path, /*only_drop_ins=*/false);
  for (const std::string& path : plan.create) add(path, /*only_drop_ins=*/true);
  for (const std::string& path : plan.remove) add(path, /*only_drop_ins=*/true);
  // New and removed units have steps of their own.
  for (const auto* paths : {&plan.create, &plan.remove}) {
    for (const std::string& path : *paths) {
      units.erase(std::string(absl::StripPrefix(path, kSystemUnits)));
    }
  }
  return units;
}

}  // namespace

std::string DescribeInstall(const InstallPlan& plan) {
  if (!plan.changes_files()) {
    return absl::StrCat("nothing to do: ", Files(plan.unchanged),
                        plan.unchanged == 1 ? " is" : " are",
                        " as the configuration says");
  }
  std::vector<std::string> parts;
  const auto add = [&](size_t count, absl::string_view what) {
    if (count != 0) parts.push_back(absl::StrCat(Files(count), " ", what));
  };
  add(plan.create.size(), "made");
  add(plan.replace.size(), "replaced");
  add(plan.remove.size(), "removed");
  add(plan.unchanged, "unchanged");
  return absl::StrJoin(parts, ", ");
}

std::vector<std::string> DescribeKept(const InstallPlan& plan,
                                      absl::string_view root) {
  std::vector<std::string> lines;
  for (const KeptFile& kept : plan.kept) {
    const std::string path =
        absl::StrCat(root, absl::EndsWith(root, "/") ? "" : "/", kept.path);
    switch (kept.why) {
      case KeptFile::Why::kForeign:
        lines.push_back(absl::StrCat(
            path,
            " was not made by vmsilo-unitgen and is left alone; to have the "
            "generated one, move it away and install again"));
        break;
      case KeptFile::Why::kChanged:
        lines.push_back(absl::StrCat(
            path,
            " was changed since it was installed and is left alone; to have "
            "the generated one, move it away and install again (settings of "
            "your own belong into the configuration's 'units', or into a "
            "drop-in)"));
        break;
      case KeptFile::Why::kChangedAndObsolete:
        lines.push_back(absl::StrCat(
            path,
            " is no longer generated, but was changed since it was "
            "installed: it is left for you to remove"));
        break;
    }
  }
  return lines;
}

std::vector<std::string> NextSteps(const InstallPlan& plan) {
  std::vector<std::string> steps;
  // Before the reload: afterwards systemd no longer knows how to stop them.
  if (const std::set<std::string> removed = RemovedUnits(plan);
      !removed.empty()) {
    steps.push_back(absl::StrCat("systemctl stop ", absl::StrJoin(removed, " "),
                                 "   # no longer configured"));
  }
  if (Touches(plan, kSystemUnits)) steps.push_back("systemctl daemon-reload");
  if (Touches(plan, "etc/sysusers.d/")) steps.push_back("systemd-sysusers");
  std::set<std::string> tmpfiles;
  for (const auto* paths : {&plan.create, &plan.replace}) {
    for (const std::string& path : *paths) {
      if (absl::StartsWith(path, "etc/tmpfiles.d/")) {
        tmpfiles.insert(absl::StrCat("/", path));
      }
    }
  }
  if (!tmpfiles.empty()) {
    steps.push_back(absl::StrCat("systemd-tmpfiles --create ",
                                 absl::StrJoin(tmpfiles, " ")));
  }
  if (Touches(plan, "etc/systemd/network/")) {
    steps.push_back("networkctl reload");
  }
  if (Touches(plan, "etc/systemd/user/")) {
    steps.push_back(
        "systemctl --user daemon-reload   # as the desktop user, or log in "
        "again");
  }
  if (const std::set<std::string> changed = ChangedUnits(plan);
      !changed.empty()) {
    steps.push_back(
        absl::StrCat("systemctl try-restart ", absl::StrJoin(changed, " "),
                     "   # if they run; a silo that does is shut down for it"));
  }
  // polkitd watches its directories (man 8 polkit), so nothing is said of it.
  if (const std::set<std::string> wanted = NewlyWanted(plan); !wanted.empty()) {
    steps.push_back(
        absl::StrCat("systemctl start ", absl::StrJoin(wanted, " ")));
  }
  return steps;
}

}  // namespace vmsilo::unitgen
