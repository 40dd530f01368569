#include "hypervisor/make_client.h"

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "hypervisor/balloon_session.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/api.h"
#include "hypervisor/cloud_hypervisor/balloon.h"
#include "hypervisor/connect.h"
#include "hypervisor/conversation.h"
#include "hypervisor/crosvm/balloon_client.h"
#include "hypervisor/crosvm/control.h"
#include "hypervisor/qemu/balloon.h"
#include "hypervisor/qemu/qmp.h"
#include "hypervisor/socket_client.h"

namespace vmsilo::hypervisor {
namespace {

std::unique_ptr<Conversation> MakeConversation(config::Hypervisor hypervisor,
                                               Request request) {
  switch (hypervisor) {
    case config::Hypervisor::kCrosvm:
      return std::make_unique<crosvm::ControlConversation>(request);
    case config::Hypervisor::kCloudHypervisor:
      return std::make_unique<cloud_hypervisor::ApiConversation>(request);
    case config::Hypervisor::kQemu:
      break;
  }
  return std::make_unique<qemu::QmpConversation>(request);
}

// A client over one connection.
template <typename ConversationType>
class SingleBalloonClient final : public BalloonClient {
 public:
  SingleBalloonClient(EventLoop* loop, const Clock* clock,
                      BalloonSession::Connect connect,
                      absl::Duration min_sample_interval)
      : session_(loop, clock, std::move(connect),
                 [] { return std::make_unique<ConversationType>(); }),
        min_sample_interval_(min_sample_interval) {}

  void Query(absl::Duration deadline, SampleDone done) override {
    session_.Query(deadline, std::move(done));
  }
  void SetSize(Bytes size, absl::Duration deadline, Done done) override {
    session_.SetSize(size, deadline, std::move(done));
  }
  void OnChange(Changed changed) override {
    session_.OnChange(std::move(changed));
  }
  absl::Duration min_sample_interval() const override {
    return min_sample_interval_;
  }

 private:
  BalloonSession session_;
  absl::Duration min_sample_interval_;
};

// Each sample interrupts the guest. It is not a matter of freshness: QEMU asks
// it whenever it is told to.
constexpr absl::Duration kQemuInterval = absl::Milliseconds(100);

// All that Cloud Hypervisor does waits while a guest is asked, up to a second.
constexpr absl::Duration kCloudHypervisorInterval = absl::Seconds(2);

}  // namespace

int SocketType(config::Hypervisor hypervisor) {
  return hypervisor == config::Hypervisor::kCrosvm ? SOCK_SEQPACKET
                                                   : SOCK_STREAM;
}

std::unique_ptr<Client> MakeClient(EventLoop* loop,
                                   config::Hypervisor hypervisor,
                                   std::string path, std::optional<pid_t> pid) {
  return std::make_unique<SocketClient>(
      loop,
      [path = std::move(path), type = SocketType(hypervisor),
       pid]() -> absl::StatusOr<UniqueFd> {
        VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, ConnectControlSocket(path, type));
        if (pid) VMSILO_RETURN_IF_ERROR(CheckPeerCgroup(fd.get(), *pid));
        return fd;
      },
      [hypervisor](Request request) {
        return MakeConversation(hypervisor, request);
      });
}

std::unique_ptr<BalloonClient> MakeBalloonClient(
    EventLoop* loop, const Clock* clock, config::Hypervisor hypervisor,
    std::string path, std::optional<std::string> unit,
    std::function<void(pid_t)> on_peer) {
  BalloonSession::Connect connect =
      [path = std::move(path), type = SocketType(hypervisor),
       unit = std::move(unit),
       on_peer = std::move(on_peer)]() -> absl::StatusOr<UniqueFd> {
    VMSILO_ASSIGN_OR_RETURN(UniqueFd fd, ConnectControlSocket(path, type));
    if (unit) VMSILO_RETURN_IF_ERROR(CheckPeerUnit(fd.get(), *unit));
    if (on_peer) {
      VMSILO_ASSIGN_OR_RETURN(const pid_t peer, PeerProcess(fd.get()));
      on_peer(peer);
    }
    return fd;
  };
  switch (hypervisor) {
    case config::Hypervisor::kCrosvm:
      return std::make_unique<crosvm::ControlBalloonClient>(loop, clock,
                                                            connect);
    case config::Hypervisor::kCloudHypervisor:
      return std::make_unique<
          SingleBalloonClient<cloud_hypervisor::ApiBalloonConversation>>(
          loop, clock, std::move(connect), kCloudHypervisorInterval);
    case config::Hypervisor::kQemu:
      break;
  }
  return std::make_unique<SingleBalloonClient<qemu::QmpBalloonConversation>>(
      loop, clock, std::move(connect), kQemuInterval);
}

}  // namespace vmsilo::hypervisor
