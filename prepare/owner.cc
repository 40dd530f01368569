#include "prepare/owner.h"

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/parse_number.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::prepare {
namespace {

// All ones means "leave it as it is" to chown(2).
constexpr uid_t kMaxId = std::numeric_limits<uid_t>::max() - 1;

// One entry with a long home directory and GECOS field.
constexpr size_t kPasswdBytes = 16 * 1024;

// systemd keeps a link from each dynamic user's name to its number here, for
// nss-systemd before D-Bus is up (src/core/dynamic-user.c).
std::optional<uid_t> DynamicUser(const std::string& name) {
  std::array<char, 32> target;
  const std::string link =
      absl::StrCat("/run/systemd/dynamic-uid/direct:", name);
  const ssize_t n = readlink(link.c_str(), target.data(), target.size());
  if (n <= 0 || static_cast<size_t>(n) >= target.size()) return std::nullopt;
  const absl::StatusOr<uid_t> uid = ParseNumber<uid_t>(
      absl::string_view(target.data(), static_cast<size_t>(n)), 1, kMaxId);
  return uid.ok() ? std::optional<uid_t>(*uid) : std::nullopt;
}

}  // namespace

absl::StatusOr<Owner> ParseOwner(absl::string_view text) {
  const size_t colon = text.find(':');
  if (!text.empty() && absl::ascii_isdigit(text[0])) {
    Owner owner;
    VMSILO_ASSIGN_OR_RETURN(
        owner.uid, ParseNumber<uid_t>(text.substr(0, colon), 0, kMaxId));
    owner.gid = owner.uid;
    if (colon != absl::string_view::npos) {
      VMSILO_ASSIGN_OR_RETURN(
          owner.gid, ParseNumber<gid_t>(text.substr(colon + 1), 0, kMaxId));
    }
    return owner;
  }
  const std::string name(text);
  if (name.empty() || name.find_first_of(":/") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " is neither UID:GID nor a user's name"));
  }
  std::vector<char> buffer(kPasswdBytes);
  passwd entry = {};
  passwd* found = nullptr;
  const int error =
      getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return Owner{entry.pw_uid, entry.pw_gid};
  // A dynamic user's group has the same number.
  if (const auto uid = DynamicUser(name)) return Owner{*uid, *uid};
  if (error != 0) {
    return ErrnoStatus(error, absl::StrCat("look up user ", Quoted(name)));
  }
  return absl::NotFoundError(absl::StrCat("there is no user ", Quoted(name)));
}

}  // namespace vmsilo::prepare
