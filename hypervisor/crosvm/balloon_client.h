#pragma once

#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "hypervisor/balloon_session.h"
#include "hypervisor/call_later.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor::crosvm {

// Sizes that are asked for while the guest owes statistics. Where there is no
// driver, a crosvm from before June 2026 does not even read them, and hangs
// when its queue, of some hundred, is full.
inline constexpr int kMaxBlindSizes = 32;

// The balloon of a crosvm VM, on up to three connections: crosvm does a
// balloon's requests one after the other, statistics that the guest does not
// send block all that are behind them, whoever's they are, and no end of
// waiting or of a connection takes one out of that queue again. So there is one
// request for statistics at most, and sizes do not go behind it.
class ControlBalloonClient final : public BalloonClient {
 public:
  ControlBalloonClient(EventLoop* loop, const Clock* clock,
                       const BalloonSession::Connect& connect);

  void Query(absl::Duration deadline, SampleDone done) override;
  void SetSize(Bytes size, absl::Duration deadline, Done done) override;
  // crosvm does not say.
  void OnChange(Changed) override {}
  // Each sample is a message to the guest, and one that gets lost blocks the
  // balloon for good.
  absl::Duration min_sample_interval() const override {
    return absl::Seconds(1);
  }

 private:
  BalloonSession statistics_;
  BalloonSession sizes_;
  BalloonSession blind_sizes_;
  std::optional<Bytes> seen_;  // the balloon's size in the last sample
  int blind_ = 0;
  CallLater call_later_;
};

}  // namespace vmsilo::hypervisor::crosvm
