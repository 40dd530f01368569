#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

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

// SOCK_STREAM or SOCK_SEQPACKET.
int SocketType(config::Hypervisor hypervisor);

}  // namespace vmsilo::hypervisor
