#include "unitgen/install_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {
namespace {

// "a", "a/b" for "a/b/c".
std::vector<std::string> Parents(absl::string_view path) {
  std::vector<std::string> parents;
  for (size_t slash = path.find('/'); slash != absl::string_view::npos;
       slash = path.find('/', slash + 1)) {
    parents.emplace_back(path.substr(0, slash));
  }
  return parents;
}

const Node* Find(const Nodes& present, const std::string& path) {
  const auto found = present.find(path);
  return found == present.end() ? nullptr : &found->second;
}

bool MatchesAny(const std::vector<Fingerprint>& fingerprints,
                const Node& node) {
  return std::any_of(
      fingerprints.begin(), fingerprints.end(),
      [&](const Fingerprint& one) { return Matches(one, node); });
}

void PlanWanted(const std::string& path, const File& file,
                const Manifest& manifest, const Node* node, InstallPlan* plan) {
  const Fingerprint ours = FingerprintOf(file);
  const auto known = manifest.files.find(path);
  if (node != nullptr && Matches(ours, *node)) {
    ++plan->unchanged;
    plan->after.files[path] = {ours};
    return;
  }
  if (node != nullptr && known == manifest.files.end()) {
    plan->kept.push_back({path, KeptFile::Why::kForeign});
    return;
  }
  if (node != nullptr && !MatchesAny(known->second, *node)) {
    plan->kept.push_back({path, KeptFile::Why::kChanged});
    plan->after.files[path] = known->second;
    return;
  }
  (node == nullptr ? plan->create : plan->replace).push_back(path);
  std::vector<Fingerprint>& possible = plan->during.files[path];
  if (std::find(possible.begin(), possible.end(), ours) == possible.end()) {
    // The oldest is the least likely to be what is there.
    if (possible.size() == kMaxFingerprints) possible.erase(possible.begin());
    possible.push_back(ours);
  }
  plan->after.files[path] = {ours};
}

}  // namespace

std::map<std::string, File> InstalledFiles(const Output& output) {
  std::map<std::string, File> files;
  for (const auto& [path, file] : output.files) {
    files.emplace_hint(files.end(), absl::StrCat(kInstallPrefix, path), file);
  }
  return files;
}

std::vector<std::string> PathsToLookAt(
    const std::map<std::string, File>& wanted, const Manifest& manifest) {
  std::set<std::string> paths = manifest.directories;
  for (const auto& [path, file] : wanted) {
    paths.insert(path);
    for (std::string& parent : Parents(path)) paths.insert(std::move(parent));
  }
  for (const auto& [path, fingerprints] : manifest.files) paths.insert(path);
  return {paths.begin(), paths.end()};
}

InstallPlan PlanInstall(const std::map<std::string, File>& wanted,
                        const Manifest& manifest, const Nodes& present) {
  InstallPlan plan;
  plan.during = manifest;
  for (const auto& [path, file] : wanted) {
    PlanWanted(path, file, manifest, Find(present, path), &plan);
  }
  for (const auto& [path, fingerprints] : manifest.files) {
    const Node* node = Find(present, path);
    if (wanted.contains(path) || node == nullptr) continue;
    if (MatchesAny(fingerprints, *node)) {
      plan.remove.push_back(path);
    } else {
      plan.kept.push_back({path, KeptFile::Why::kChangedAndObsolete});
    }
  }
  std::sort(
      plan.kept.begin(), plan.kept.end(),
      [](const KeptFile& a, const KeptFile& b) { return a.path < b.path; });

  std::set<std::string> in_use;
  for (const auto& [path, file] : wanted) {
    for (std::string& parent : Parents(path)) in_use.insert(std::move(parent));
  }
  std::set<std::string> to_make;
  for (const std::string& path : plan.create) {
    for (std::string& parent : Parents(path)) {
      if (Find(present, parent) == nullptr) to_make.insert(std::move(parent));
    }
  }
  plan.make_directories = {to_make.begin(), to_make.end()};
  plan.during.directories.insert(to_make.begin(), to_make.end());
  plan.after.directories = to_make;
  for (const std::string& directory : manifest.directories) {
    if (Find(present, directory) == nullptr) continue;
    if (in_use.contains(directory)) {
      plan.after.directories.insert(directory);
    } else {
      plan.remove_directories.push_back(directory);
    }
  }
  std::reverse(plan.remove_directories.begin(), plan.remove_directories.end());
  return plan;
}

}  // namespace vmsilo::unitgen
