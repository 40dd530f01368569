#include "common/exit_codes.h"

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/parse_number.h"

namespace vmsilo {
namespace {

constexpr char kPayload[] = "vmsilo/exit-code";

}  // namespace

int ExitCodeFor(const absl::Status& status) {
  if (status.ok()) return 0;
  if (const auto payload = status.GetPayload(kPayload)) {
    const auto code = ParseNumber<int>(std::string(*payload), 0, 255);
    if (code.ok()) return *code;
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kDataLoss:
      return kExitDataError;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
      return kExitUnavailable;
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kResourceExhausted:
      return kExitTryLater;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kExitNoPermission;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
      return kExitOsError;
    default:
      return kExitInternal;
  }
}

absl::Status WithExitCode(absl::Status status, int exit_code) {
  if (!status.ok()) {
    status.SetPayload(kPayload, absl::Cord(absl::StrCat(exit_code)));
  }
  return status;
}

}  // namespace vmsilo
