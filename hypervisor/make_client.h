#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/event_loop.h"
#include "config/config.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {

// A client for the control socket at `path`. With `pid`, a peer that is not of
// that process's control group is refused.
std::unique_ptr<Client> MakeClient(EventLoop* loop,
                                   config::Hypervisor hypervisor,
                                   std::string path,
                                   std::optional<pid_t> pid = std::nullopt);

// A client for the balloon over the socket at `path`: for QEMU one that no
// other program uses, else the control socket. With `unit`, a peer that is not
// of that systemd unit is refused. `on_peer` is called with the process at the
// other end of each connection, and must not destroy the client.
std::unique_ptr<BalloonClient> MakeBalloonClient(
    EventLoop* loop, const Clock* clock, config::Hypervisor hypervisor,
    std::string path, std::optional<std::string> unit = std::nullopt,
    std::function<void(pid_t)> on_peer = nullptr);

// SOCK_STREAM or SOCK_SEQPACKET.
int SocketType(config::Hypervisor hypervisor);

}  // namespace vmsilo::hypervisor
