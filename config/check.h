#pragma once

#include <cstddef>

#include "common/value.h"
#include "config/config.h"
#include "config/diagnostics.h"

namespace vmsilo::config {

// What sockaddr_un holds besides the terminating NUL (unix(7)).
inline constexpr size_t kMaxSocketPath = 107;
// virtio 1.2, section 5.11.4: a file system's tag.
inline constexpr size_t kMaxVirtiofsTag = 36;

// The first QEMU with vhost-user-snd.
inline constexpr Version kQemuWithSound = {9, 0};
// The first Cloud Hypervisor with generic vhost-user devices, of which sound
// is one.
inline constexpr Version kCloudHypervisorWithSound = {52, 0};

// Checks a resolved configuration as a whole: references, cycles, names that
// two things would have, lengths of socket paths, devices claimed twice, and
// what the hypervisors can do. `tree` says where things stand.
void Check(const Value& tree, const Config& config, DiagnosticSink& sink);

}  // namespace vmsilo::config
