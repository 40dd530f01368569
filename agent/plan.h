#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/users.h"
#include "command/frame.h"

namespace vmsilo::agent {

// Everything about a command that can be known before it is forked.
struct Plan {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  // What to try to execute, in this order: the command itself if its name has
  // a slash, else that name in every directory of PATH.
  std::vector<std::string> candidates;
  std::string directory;
  // The home of a user may be missing; a directory that was asked for may not.
  bool is_directory_required = false;
};

// `runtime_directory` is the user's /run/user/UID if there is one, else empty.
// `settings` are NAME=VALUE from the agent's own command line; the client's
// environment, which the host has cut down, wins over them.
Plan MakePlan(const command::Start& start, const User& user,
              absl::string_view runtime_directory,
              const std::vector<std::string>& settings);

}  // namespace vmsilo::agent
