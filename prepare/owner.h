#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::prepare {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;

  friend bool operator==(const Owner&, const Owner&) = default;
};

// "UID:GID", "UID" (the group of the same number), or a user's name with the
// user's own group. A user that systemd has made for a running unit
// (DynamicUser=) is found without nss-systemd, too. NotFound for a name that
// nobody has.
absl::StatusOr<Owner> ParseOwner(absl::string_view text);

}  // namespace vmsilo::prepare
