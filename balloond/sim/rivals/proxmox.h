#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "balloond/controller.h"

namespace vmsilo::balloond::sim {

// A VM as Proxmox VE sees it. Bytes; `memory` is what the guest has now.
struct ProxmoxVm {
  int id = 0;
  int64_t maximum = 0;
  int64_t minimum = 0;
  int64_t memory = 0;
  int64_t free = 0;
  int64_t shares = 1000;
};

// How Proxmox VE shares `goal` more bytes, or takes so many: by shares above
// the minimum, whoever is under pressure before the others, no VM by more
// than `most`. Returns the new sizes of those that change.
// (pve-manager 14a22df3, PVE/AutoBalloon.pm.)
std::map<int, int64_t> ShareAsProxmox(const std::vector<ProxmoxVm>& vms,
                                      int64_t goal, int64_t most);

// Every ten seconds, so that the host uses 80 %.
std::unique_ptr<Controller> MakeProxmox();

}  // namespace vmsilo::balloond::sim
