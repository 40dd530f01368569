#include "cli/escape_keys.h"

#include <array>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::cli {
namespace {

struct Key {
  char key;
  absl::string_view name;
  EscapeKeys::Command command;
  absl::string_view help;
};

constexpr std::array<Key, 6> kKeys = {{
    {'.', "~.", EscapeKeys::Command::kLeave, "leave the console"},
    {'\x1a', "~^Z", EscapeKeys::Command::kSuspend, "suspend this program"},
    {'s', "~s", EscapeKeys::Command::kStatus, "show the console's state"},
    {'w', "~w", EscapeKeys::Command::kTakeOver,
     "type, in the place of whoever does"},
    {'r', "~r", EscapeKeys::Command::kSendSize,
     "type a command that tells the guest the size of this terminal"},
    {'?', "~?", EscapeKeys::Command::kHelp, "this list"},
}};

std::optional<EscapeKeys::Command> CommandOf(char key) {
  for (const Key& known : kKeys) {
    if (known.key == key) return known.command;
  }
  return std::nullopt;
}

}  // namespace

EscapeKeys::Typed EscapeKeys::Read(absl::string_view bytes) {
  Typed typed;
  for (const char byte : bytes) {
    if (state_ == State::kLineStart && byte == '~') {
      state_ = State::kTilde;
      continue;
    }
    if (state_ == State::kTilde) {
      if (const auto command = CommandOf(byte)) {
        typed.commands.push_back(*command);
        state_ = State::kLineStart;
        continue;
      }
      // Nothing of ours: the tilde was the guest's after all. Two of them are
      // how to type one.
      typed.for_guest.push_back('~');
      state_ = State::kInsideLine;
      if (byte == '~') continue;
    }
    typed.for_guest.push_back(byte);
    state_ =
        byte == '\r' || byte == '\n' ? State::kLineStart : State::kInsideLine;
  }
  return typed;
}

std::string EscapeKeys::Help() {
  std::string help = "At the beginning of a line:\r\n";
  for (const Key& key : kKeys) {
    absl::StrAppend(&help, "  ", key.name,
                    std::string(5 - key.name.size(), ' '), key.help, "\r\n");
  }
  absl::StrAppend(&help, "  ~~   type a tilde\r\n");
  return help;
}

}  // namespace vmsilo::cli
