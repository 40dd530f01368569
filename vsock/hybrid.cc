#include "vsock/hybrid.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"

namespace vmsilo::vsock {
namespace {

// The number is the monitor's own business: an allocated port with one, the
// guest's port with another.
bool IsReply(absl::string_view line) {
  if (!absl::StartsWith(line, "OK")) return false;
  line.remove_prefix(2);
  if (line.empty()) return true;
  return line.size() > 1 && line[0] == ' ' &&
         std::all_of(line.begin() + 1, line.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string ConnectLine(uint32_t port) {
  return absl::StrCat("CONNECT ", port, "\n");
}

absl::StatusOr<ReplyReader::Progress> ReplyReader::Read(
    absl::string_view bytes) {
  const size_t newline = bytes.find('\n');
  const bool is_done = newline != absl::string_view::npos;
  const size_t taken = is_done ? newline : bytes.size();
  const size_t room = kMaxReplyBytes - line_.size();
  absl::StrAppend(&line_, bytes.substr(0, std::min(taken, room)));
  // The newline counts, too.
  if (taken >= room) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vsock handshake: answer too long: '", Escaped(line_), "'"));
  }
  if (is_done && !IsReply(line_)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "vsock handshake: unexpected answer '", Escaped(line_), "'"));
  }
  return Progress{.consumed = taken + (is_done ? 1 : 0), .is_done = is_done};
}

}  // namespace vmsilo::vsock
