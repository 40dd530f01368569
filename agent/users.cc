#include "agent/users.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/parse_number.h"

namespace vmsilo::agent {
namespace {

constexpr uid_t kNoId = static_cast<uid_t>(-1);  // "unchanged" to the kernel

std::optional<uint32_t> ParseId(absl::string_view text) {
  const absl::StatusOr<uint32_t> id = ParseNumber<uint32_t>(text, 0, kNoId - 1);
  return id.ok() ? std::optional<uint32_t>(*id) : std::nullopt;
}

std::optional<User> ParsePasswdLine(absl::string_view line) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
  if (fields.size() != 7 || fields[0].empty()) return std::nullopt;
  const std::optional<uint32_t> uid = ParseId(fields[2]);
  const std::optional<uint32_t> gid = ParseId(fields[3]);
  if (!uid.has_value() || !gid.has_value()) return std::nullopt;
  return User{.name = std::string(fields[0]),
              .uid = *uid,
              .gid = *gid,
              .home = std::string(fields[5]),
              .shell = std::string(fields[6])};
}

absl::StatusOr<User> Find(absl::string_view passwd, absl::string_view group,
                          absl::string_view wanted,
                          const std::function<bool(const User&)>& is_wanted) {
  std::optional<User> user;
  for (const absl::string_view line : absl::StrSplit(passwd, '\n')) {
    user = ParsePasswdLine(line);
    if (user.has_value() && is_wanted(*user)) break;
    user.reset();
  }
  if (!user.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("no user ", wanted, " in /etc/passwd"));
  }
  user->groups.push_back(user->gid);
  absl::flat_hash_set<gid_t> known = {user->gid};
  for (const absl::string_view line : absl::StrSplit(group, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    if (fields.size() != 4) continue;
    const std::optional<uint32_t> gid = ParseId(fields[2]);
    if (!gid.has_value()) continue;
    for (const absl::string_view member : absl::StrSplit(fields[3], ',')) {
      if (member == user->name && user->groups.size() < kMaxGroups &&
          known.insert(*gid).second) {
        user->groups.push_back(*gid);
      }
    }
  }
  return *std::move(user);
}

}  // namespace

absl::StatusOr<User> FindUser(absl::string_view passwd, absl::string_view group,
                              absl::string_view name) {
  return Find(passwd, group, Quoted(name),
              [name](const User& user) { return user.name == name; });
}

absl::StatusOr<User> FindUser(absl::string_view passwd, absl::string_view group,
                              uid_t uid) {
  return Find(passwd, group, absl::StrCat("with uid ", uid),
              [uid](const User& user) { return user.uid == uid; });
}

}  // namespace vmsilo::agent
