#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"
#include "console/message.h"

// A viewer of a console that a test plays, step by step. Each call waits until
// it is done; what does not come in time fails the test.
namespace vmsilo::console {

UniqueFd ConnectViewer(const std::string& socket);

void SendPacket(const UniqueFd& viewer, const FromViewer& message);

// The packet lives until the next call: Output points into it. DeadlineExceeded
// if nothing comes, Unavailable at the end.
absl::StatusOr<FromRelay> ReceivePacket(const UniqueFd& viewer);

Attached AttachViewer(const UniqueFd& viewer, const Attach& attach);

// Output until there are `size` bytes of it.
std::string ReceiveOutput(const UniqueFd& viewer, size_t size);

// What comes before the answer is thrown away.
Status AskStatus(const UniqueFd& viewer);

}  // namespace vmsilo::console
