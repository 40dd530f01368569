#include "hypervisor/make_client.h"

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/api.h"
#include "hypervisor/connect.h"
#include "hypervisor/conversation.h"
#include "hypervisor/crosvm/control.h"
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

}  // namespace vmsilo::hypervisor
