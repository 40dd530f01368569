#include "vsock/address.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/escape.h"
#include "common/parse_number.h"

namespace vmsilo::vsock {
namespace {

// The highest value means "any" for CIDs and for ports alike.
constexpr uint32_t kHighest = std::numeric_limits<uint32_t>::max() - 1;

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("address '", Escaped(text), "': ", why,
                   "; expected vsock:CID:PORT or unix:PATH:PORT"));
}

}  // namespace

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  absl::string_view rest = text;
  const bool is_kernel = absl::ConsumePrefix(&rest, "vsock:");
  if (!is_kernel && !absl::ConsumePrefix(&rest, "unix:")) {
    return Bad(text, "unknown kind");
  }
  const size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) return Bad(text, "no port");
  const absl::string_view place = rest.substr(0, colon);
  const absl::StatusOr<uint32_t> port =
      ParseNumber<uint32_t>(rest.substr(colon + 1), 1, kHighest);
  if (!port.ok()) return Bad(text, "not a port number");

  if (is_kernel) {
    const absl::StatusOr<uint32_t> cid =
        ParseNumber<uint32_t>(place, 1, kHighest);
    if (!cid.ok()) return Bad(text, "not a CID");
    return KernelAddress{.cid = *cid, .port = *port};
  }
  if (place.empty()) return Bad(text, "no path");
  if (place.size() > kMaxSocketPathBytes) {
    return Bad(text, absl::StrCat("the path is longer than ",
                                  kMaxSocketPathBytes, " bytes"));
  }
  if (place.find('\0') != absl::string_view::npos) {
    return Bad(text, "NUL in the path");
  }
  return HybridAddress{.path = std::string(place), .port = *port};
}

std::string FormatAddress(const Address& address) {
  if (const auto* kernel = std::get_if<KernelAddress>(&address)) {
    return absl::StrCat("vsock:", kernel->cid, ":", kernel->port);
  }
  const auto& hybrid = std::get<HybridAddress>(address);
  return absl::StrCat("unix:", hybrid.path, ":", hybrid.port);
}

}  // namespace vmsilo::vsock
