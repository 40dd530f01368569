#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

// The user database as files. Where units are generated, at boot, there is no
// name service to ask.
namespace vmsilo::config {

// The texts of /etc/passwd and /etc/group; absent if they cannot be read.
struct UserDatabase {
  std::optional<std::string> passwd;
  std::optional<std::string> group;
};

struct PasswdEntry {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;

  friend bool operator==(const PasswdEntry&, const PasswdEntry&) = default;
};

// The first entry of that name in the text of /etc/passwd (passwd(5)).
// Malformed lines are skipped.
std::optional<PasswdEntry> FindUser(absl::string_view passwd,
                                    absl::string_view name);

// The name of the first group with that number in the text of /etc/group
// (group(5)).
std::optional<std::string> FindGroupName(absl::string_view group, gid_t gid);

}  // namespace vmsilo::config
