#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/client.h"

// The balloon on crosvm's control socket: BalloonControlCommand of crosvm
// vm_control/src/balloon_tube.rs@f1e797a68dada35cbafef8d0cfae36bacfaea85e.
namespace vmsilo::hypervisor::crosvm {

inline constexpr absl::string_view kStatsRequest =
    R"({"BalloonCommand":"Stats"})";

// How the device takes a new size.
enum class Adjust {
  // In its turn: behind statistics that the guest owes. Answered when taken.
  kInTurn,
  // At once, past everything. Answered when the guest has got there, which may
  // be never; nobody waits for it.
  kAtOnce,
};

std::string EncodeAdjust(Bytes size, Adjust how);

// The answer to kStatsRequest. `age` is left at zero.
absl::StatusOr<BalloonSample> ParseStats(absl::string_view packet);

// One kind of request on a connection of its own. crosvm's answers have no
// ids, and those about balloons may overtake each other.
//
// What crosvm does not understand, and statistics that the guest does not
// deliver, it answers with silence. A query that is given up stays in crosvm's
// queue, so that the connection must stay, too: its answer would come there.
class ControlBalloonConversation final : public BalloonConversation {
 public:
  explicit ControlBalloonConversation(Adjust how) : how_(how) {}

  Step Query(absl::Time now) override;
  bool is_asking() const override { return asked_.has_value(); }
  Step SetSize(Bytes size) override;
  absl::StatusOr<Step> Receive(absl::string_view packet,
                               absl::Time now) override;
  GivenUp GiveUp(Call call) override;
  absl::Status ReceiveEnd() override;

 private:
  Adjust how_;
  std::optional<absl::Time> asked_;
  bool is_resizing_ = false;
};

}  // namespace vmsilo::hypervisor::crosvm
