#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace vmsilo::cli {

// What a person can tell the client of a console while everything else goes to
// the guest: a tilde at the beginning of a line and a key, as ssh(1) has it.
class EscapeKeys {
 public:
  enum class Command { kLeave, kHelp, kSuspend, kStatus, kTakeOver, kSendSize };

  struct Typed {
    std::string for_guest;
    std::vector<Command> commands;
  };

  // `bytes` continue those of the last call.
  Typed Read(absl::string_view bytes);

  // The keys, a line each, with line breaks for a raw terminal.
  static std::string Help();

 private:
  enum class State { kLineStart, kTilde, kInsideLine };
  State state_ = State::kLineStart;
};

}  // namespace vmsilo::cli
