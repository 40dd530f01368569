#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo::cli {

// The longest control sequence that is passed on. The longest useful ones,
// colours with many parameters, stay below 100 bytes.
inline constexpr size_t kMaxSequenceBytes = 256;

// Makes a guest's output safe to show on the host's terminal. A terminal obeys
// what it prints: it can be told to type an answer into the shell below, to
// set the clipboard or the window's title, to print, to write a log. Only
// sequences of a list pass: text, colours, cursor and screen, the modes that
// full-screen programs need. Everything else disappears: whole OSC, DCS, APC,
// PM and SOS strings, requests for reports, window operations.
//
// The stream is taken as UTF-8; bytes that are not become U+FFFD. A sequence
// is held back until it is complete, so a terminal is never left inside of
// one, and pieces of any size give the same output.
class TerminalFilter {
 public:
  // What may be shown of `bytes`, which continue those of the last call.
  std::string Filter(absl::string_view bytes);

  // What undoes the modes, colours and character sets that passed and are
  // still on: to be shown when the guest's program has ended.
  std::string Reset() const;

 private:
  enum class State {
    kGround,
    kEscape,
    kControlSequence,
    kString,
    kStringEscape,
  };

  void OnByte(uint8_t byte, std::string* out);
  void OnCharacter(char32_t c, std::string* out);
  void OnControl(char32_t c, std::string* out);
  void OnEscape(char32_t c, std::string* out);
  void OnControlSequence(char32_t c, std::string* out);
  void OnString(char32_t c);
  void StartSequence(State state);
  void FinishEscape(char final, std::string* out);
  void FinishControlSequence(char final, std::string* out);
  void FinishModes(bool set, std::string* out);

  State state_ = State::kGround;
  std::string sequence_;  // without the introducer
  bool is_too_long_ = false;
  bool is_osc_ = false;  // a bell ends it

  uint32_t utf8_value_ = 0;
  int utf8_missing_ = 0;
  uint8_t utf8_low_ = 0x80;  // bounds of the next continuation byte
  uint8_t utf8_high_ = 0xbf;

  std::set<int> changed_modes_;  // private modes that differ from the default
  bool has_insert_mode_ = false;
  bool has_attributes_ = false;
  bool has_charset_ = false;
  bool has_cursor_style_ = false;
  bool has_keypad_ = false;
  bool has_margins_ = false;
};

}  // namespace vmsilo::cli
