#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {

// Requests about a balloon on one connection that stays open: the codec of a
// hypervisor. Pure; BalloonSession does the I/O. A request can be made before
// the other side is ready for it; it is sent when it is.
class BalloonConversation {
 public:
  struct Step {
    std::string send;  // what to send now, if anything: one packet at most
    // The answers to Query() and SetSize().
    std::optional<absl::StatusOr<BalloonSample>> sample;
    std::optional<absl::Status> resized;
    std::optional<Bytes> changed;  // what the balloon's size is now, unasked
    // Continue() after this time, unless another step comes first.
    std::optional<absl::Duration> wait;
  };

  enum class Call { kQuery, kSetSize };

  // What becomes of a call at its deadline.
  struct GivenUp {
    absl::Status why;
    // Whether the connection is still good: whatever comes late will be known
    // for what it is.
    bool may_stay = false;
  };

  virtual ~BalloonConversation() = default;

  // What to send once connected; "" to wait for the other side first.
  virtual std::string Begin() { return ""; }

  // Not while is_asking().
  virtual Step Query(absl::Time now) = 0;
  // Whether a query has no answer yet, also one that was given up.
  virtual bool is_asking() const = 0;

  // Not while an earlier one has no answer. `size` is a multiple of 1 MiB.
  virtual Step SetSize(Bytes size) = 0;

  // Bytes that arrived: any piece of a stream, or one whole packet. An error
  // ends the conversation.
  virtual absl::StatusOr<Step> Receive(absl::string_view bytes,
                                       absl::Time now) = 0;
  virtual Step Continue(absl::Time /*now*/) { return {}; }

  virtual GivenUp GiveUp(Call call) = 0;

  // The other side has closed; why, if it has said so.
  virtual absl::Status ReceiveEnd() = 0;
};

}  // namespace vmsilo::hypervisor
