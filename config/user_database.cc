#include "config/user_database.h"

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/parse_number.h"

namespace vmsilo::config {
namespace {

// -1 means "leave as it is" to chown(2).
constexpr uint32_t kMaxId = 0xfffffffe;

}  // namespace

std::optional<PasswdEntry> FindUser(absl::string_view passwd,
                                    absl::string_view name) {
  const std::string prefix = absl::StrCat(name, ":");
  for (absl::string_view line : absl::StrSplit(passwd, '\n')) {
    if (!absl::StartsWith(line, prefix)) continue;
    // name:password:uid:gid:comment:home:shell
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    if (fields.size() != 7) continue;
    const auto uid = ParseNumber<uint32_t>(fields[2], 0, kMaxId);
    const auto gid = ParseNumber<uint32_t>(fields[3], 0, kMaxId);
    if (!uid.ok() || !gid.ok()) continue;
    return PasswdEntry{
        .uid = *uid, .gid = *gid, .home = std::string(fields[5])};
  }
  return std::nullopt;
}

std::optional<std::string> FindGroupName(absl::string_view group, gid_t gid) {
  for (absl::string_view line : absl::StrSplit(group, '\n')) {
    // name:password:gid:members
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    if (fields.size() != 4 || fields[0].empty()) continue;
    const auto number = ParseNumber<uint32_t>(fields[2], 0, kMaxId);
    if (number.ok() && *number == gid) return std::string(fields[0]);
  }
  return std::nullopt;
}

}  // namespace vmsilo::config
