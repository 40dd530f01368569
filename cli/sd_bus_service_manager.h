#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "cli/service_manager.h"

namespace vmsilo::cli {

// The system's service manager over the system bus; as root without a bus,
// over systemd's own socket. Unavailable if neither answers.
absl::StatusOr<std::unique_ptr<ServiceManager>> ConnectServiceManager();

}  // namespace vmsilo::cli
