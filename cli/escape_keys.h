#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::cli {

// What a person can tell the client of a console while everything else goes to
// the guest: an escape character at the beginning of a line and a key, as
// ssh(1) has it.
class EscapeKeys {
 public:
  // The escape character as people write it: itself, `^X` for a control
  // character, or `none`, and then everything goes to the guest.
  static absl::StatusOr<std::optional<char>> Parse(absl::string_view text);

  explicit EscapeKeys(std::optional<char> escape = '~') : escape_(escape) {}

  enum class Command { kLeave, kHelp, kSuspend, kStatus, kTakeOver, kSendSize };

  struct Typed {
    std::string for_guest;
    std::optional<Command> command;  // after that
  };

  // Takes what has been typed, up to and with the first command, from the
  // beginning of `*bytes`, which continue those of the last call.
  Typed Read(absl::string_view* bytes);

  // The keys, a line each, with line breaks for a raw terminal.
  std::string Help() const;

  // How to type `key`: "~.". Empty without an escape character.
  std::string NameOf(char key) const;

 private:
  std::optional<char> escape_;
  enum class State { kLineStart, kEscape, kInsideLine };
  State state_ = State::kLineStart;
};

}  // namespace vmsilo::cli
