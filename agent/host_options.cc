#include "agent/host_options.h"

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace vmsilo::agent {

bool IsHybridVsock(absl::string_view kernel_command_line) {
  for (const absl::string_view word :
       absl::StrSplit(kernel_command_line, absl::ByAnyChar(" \t\n"))) {
    if (word == "--") return false;  // what follows is for init
    if (word == "vmsilo.vsock=hybrid") return true;
  }
  return false;
}

}  // namespace vmsilo::agent
