#include "cli/escape_keys.h"

#include <array>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"

namespace vmsilo::cli {
namespace {

// The character that a key makes together with Ctrl.
constexpr char Control(char key) { return static_cast<char>(key & 0x1f); }

struct Key {
  char key;
  EscapeKeys::Command command;
  absl::string_view help;
};

constexpr std::array<Key, 6> kKeys = {{
    {'.', EscapeKeys::Command::kLeave, "leave the console"},
    {Control('Z'), EscapeKeys::Command::kSuspend, "suspend this program"},
    {'s', EscapeKeys::Command::kStatus, "show the console's state"},
    {'w', EscapeKeys::Command::kTakeOver, "type, in the place of whoever does"},
    {'r', EscapeKeys::Command::kSendSize,
     "type a command that tells the guest the size of this terminal"},
    {'?', EscapeKeys::Command::kHelp, "this list"},
}};

// As on a keyboard: "~", "^]".
std::string Printed(char key) {
  if (key == '\x7f') return "^?";
  if (key < ' ') return {'^', static_cast<char>(key + '@')};
  return {key};
}

std::optional<EscapeKeys::Command> CommandOf(char key) {
  for (const Key& known : kKeys) {
    if (known.key == key) return known.command;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::optional<char>> EscapeKeys::Parse(absl::string_view text) {
  if (text == "none") return std::nullopt;
  if (text.size() == 1 && text[0] > ' ' && text[0] < '\x7f') return text[0];
  if (text.size() == 2 && text[0] == '^') {
    const char key = absl::ascii_toupper(text[1]);
    // Ctrl-M ends lines, which is where keys of ours are looked for.
    if (key >= '@' && key <= '_' && key != 'J' && key != 'M') {
      return Control(key);
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("expected one character, one with Ctrl as in ^], or none, "
                   "got ",
                   Quoted(text)));
}

EscapeKeys::Typed EscapeKeys::Read(absl::string_view* bytes) {
  Typed typed;
  while (!bytes->empty()) {
    const char byte = bytes->front();
    bytes->remove_prefix(1);
    if (state_ == State::kLineStart && escape_ == byte) {
      state_ = State::kEscape;
      continue;
    }
    if (state_ == State::kEscape) {
      typed.command = CommandOf(byte);
      if (typed.command.has_value()) {
        state_ = State::kLineStart;
        return typed;
      }
      // Nothing of ours: it was the guest's after all. Two of them are how to
      // type one.
      typed.for_guest.push_back(*escape_);
      state_ = State::kInsideLine;
      if (byte == *escape_) continue;
    }
    typed.for_guest.push_back(byte);
    state_ =
        byte == '\r' || byte == '\n' ? State::kLineStart : State::kInsideLine;
  }
  return typed;
}

std::string EscapeKeys::Help() const {
  if (!escape_.has_value()) return "there is no escape character";
  std::string help = "At the beginning of a line:\r\n";
  const auto add = [&help](absl::string_view name, absl::string_view text) {
    absl::StrAppend(&help, "  ", name, std::string(6 - name.size(), ' '), text,
                    "\r\n");
  };
  for (const Key& key : kKeys) add(NameOf(key.key), key.help);
  add(NameOf(*escape_), "type the escape character");
  return help;
}

std::string EscapeKeys::NameOf(char key) const {
  return escape_.has_value() ? Printed(*escape_) + Printed(key) : "";
}

}  // namespace vmsilo::cli
