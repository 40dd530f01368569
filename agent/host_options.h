#pragma once

#include "absl/strings/string_view.h"

namespace vmsilo::agent {

// Whether the text of /proc/cmdline has the word `vmsilo.vsock=hybrid`: the
// guest's host connections come through a monitor's Unix socket, which gives
// them arbitrary source ports. The command line comes from the host, who is
// the one to be recognised.
bool IsHybridVsock(absl::string_view kernel_command_line);

}  // namespace vmsilo::agent
