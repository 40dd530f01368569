#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::agent {

// A static program cannot ask the name service switch, so the agent reads
// /etc/passwd and /etc/group itself. Users from elsewhere (LDAP, systemd-homed)
// are unknown to it.

// A guest's user database has a few kilobytes; a runaway one is refused.
inline constexpr size_t kMaxDatabaseBytes = size_t{1024} * 1024;

// What one process may have (NGROUPS_MAX in man 2 setgroups).
inline constexpr size_t kMaxGroups = 65536;

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell;
  std::vector<gid_t> groups;  // all, `gid` first
  friend bool operator==(const User&, const User&) = default;
};

// The user called `name` in texts of the formats of man 5 passwd and man 5
// group. Lines that are not of that format are skipped, as the C library does.
// NotFound if there is none, with the name in the message.
absl::StatusOr<User> FindUser(absl::string_view passwd, absl::string_view group,
                              absl::string_view name);

// The same by number: the first entry counts.
absl::StatusOr<User> FindUser(absl::string_view passwd, absl::string_view group,
                              uid_t uid);

}  // namespace vmsilo::agent
