#include "balloond/controller.h"

#include "absl/strings/string_view.h"

namespace vmsilo::balloond {

absl::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kBalanced:
      return "balanced";
    case Reason::kShared:
      return "shared";
    case Reason::kGuestShort:
      return "guest-short";
    case Reason::kHostShort:
      return "host-short";
    case Reason::kStalled:
      return "stalled";
    case Reason::kBlocked:
      return "blocked";
    case Reason::kUnmanaged:
      return "unmanaged";
    case Reason::kWaiting:
      return "waiting";
    case Reason::kExcluded:
      return "excluded";
    case Reason::kFixed:
      return "fixed";
    case Reason::kGuestRefused:
      return "guest-refused";
  }
  return "none";
}

}  // namespace vmsilo::balloond
