#include "hypervisor/crosvm/balloon_client.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/balloon_session.h"
#include "hypervisor/client.h"
#include "hypervisor/crosvm/balloon.h"

namespace vmsilo::hypervisor::crosvm {
namespace {

BalloonSession::MakeConversation Conversations(Adjust how) {
  return [how] { return std::make_unique<ControlBalloonConversation>(how); };
}

}  // namespace

ControlBalloonClient::ControlBalloonClient(
    EventLoop* loop, const Clock* clock, const BalloonSession::Connect& connect)
    : statistics_(loop, clock, connect, Conversations(Adjust::kInTurn)),
      sizes_(loop, clock, connect, Conversations(Adjust::kInTurn)),
      blind_sizes_(loop, clock, connect, Conversations(Adjust::kAtOnce)),
      call_later_(loop) {}

void ControlBalloonClient::Query(absl::Duration deadline, SampleDone done) {
  statistics_.Query(deadline, [this, done = std::move(done)](
                                  absl::StatusOr<BalloonSample> sample) {
    if (sample.ok()) {
      seen_ = sample->size;
      blind_ = 0;
    }
    done(std::move(sample));
  });
}

void ControlBalloonClient::SetSize(Bytes size, absl::Duration deadline,
                                   Done done) {
  if (!statistics_.is_asking()) {
    sizes_.SetSize(size, deadline, std::move(done));
    return;
  }
  const bool gives = seen_ ? size <= *seen_ : size == Bytes();
  if (gives && blind_ < kMaxBlindSizes) {
    ++blind_;
    blind_sizes_.SetSize(size, deadline, std::move(done));
    return;
  }
  call_later_.Add([done = std::move(done), gives] {
    done(absl::ResourceExhaustedError(
        gives ? "the guest owes statistics, and has been asked too often"
              : "the guest owes statistics; until they come its balloon can "
                "only be made smaller"));
  });
}

}  // namespace vmsilo::hypervisor::crosvm
