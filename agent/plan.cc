#include "agent/plan.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace vmsilo::agent {
namespace {

// What Debian gives to root, who may also be the only user of a guest; for
// others the additional directories do no harm.
constexpr absl::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void Set(absl::string_view setting, std::map<std::string, std::string>* out) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(setting, absl::MaxSplits('=', 1));
  (*out)[std::string(parts.first)] = std::string(parts.second);
}

}  // namespace

Plan MakePlan(const command::Start& start, const User& user,
              absl::string_view runtime_directory,
              const std::vector<std::string>& settings) {
  std::map<std::string, std::string> environment = {
      {"HOME", user.home},
      {"LOGNAME", user.name},
      {"PATH", std::string(kDefaultPath)},
      {"SHELL", user.shell.empty() ? "/bin/sh" : user.shell},
      {"USER", user.name},
  };
  if (!runtime_directory.empty()) {
    environment["XDG_RUNTIME_DIR"] = std::string(runtime_directory);
  }
  for (const std::string& setting : settings) Set(setting, &environment);
  for (const std::string& setting : start.environment) {
    Set(setting, &environment);
  }

  Plan plan;
  plan.arguments = start.arguments;
  plan.is_directory_required = !start.directory.empty();
  plan.directory = plan.is_directory_required ? start.directory : user.home;
  for (const auto& [name, value] : environment) {
    plan.environment.push_back(absl::StrCat(name, "=", value));
  }
  const std::string& command = start.arguments[0];
  if (command.find('/') != std::string::npos) {
    plan.candidates.push_back(command);
  } else {
    for (const absl::string_view directory :
         absl::StrSplit(environment["PATH"], ':')) {
      // An empty directory would be the working one: too easily a trap.
      if (directory.empty()) continue;
      plan.candidates.push_back(absl::StrCat(directory, "/", command));
    }
  }
  return plan;
}

}  // namespace vmsilo::agent
