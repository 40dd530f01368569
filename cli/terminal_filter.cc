#include "cli/terminal_filter.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace vmsilo::cli {
namespace {

constexpr char32_t kEscape = 0x1b;
constexpr char32_t kReplacement = 0xfffd;

// Private modes (DECSET) that pass. Left out on purpose: 3 and 40 resize the
// window, 1034 and 1036 change what keys send, 1070 and the like nobody needs.
constexpr int kModes[] = {
    1,     // application cursor keys
    5,     // reverse video
    6,     // origin
    7,     // wrap
    12,    // blinking cursor
    25,    // visible cursor
    45,    // reverse wrap
    47,    // alternate screen
    66,    // application keypad
    69,    // left and right margins
    1000,  // mouse: buttons
    1002,  // mouse: drags
    1003,  // mouse: motion
    1004,  // focus
    1006,  // mouse: decimal coordinates
    1007,  // wheel as cursor keys
    1015,  // mouse: decimal coordinates, old form
    1047,  // alternate screen
    1048,  // save the cursor
    1049,  // both
    2004,  // bracketed paste
    2026,  // synchronised output
};

constexpr bool IsOnByDefault(int mode) { return mode == 7 || mode == 25; }

bool Contains(absl::string_view set, char c) {
  return set.find(c) != absl::string_view::npos;
}

void AppendUtf8(char32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xc0 | (c >> 6)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | (c >> 12)));
    out->push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else {
    out->push_back(static_cast<char>(0xf0 | (c >> 18)));
    out->push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  }
}

}  // namespace

std::string TerminalFilter::Filter(absl::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) OnByte(static_cast<uint8_t>(c), &out);
  return out;
}

// Decodes UTF-8 as Unicode's table 3-7 has it: no overlong forms, no
// surrogates. A byte that cannot continue a character starts anew.
void TerminalFilter::OnByte(uint8_t byte, std::string* out) {
  if (utf8_missing_ > 0) {
    if (byte >= utf8_low_ && byte <= utf8_high_) {
      utf8_value_ = (utf8_value_ << 6) | (byte & 0x3f);
      utf8_low_ = 0x80;
      utf8_high_ = 0xbf;
      if (--utf8_missing_ == 0) OnCharacter(utf8_value_, out);
      return;
    }
    utf8_missing_ = 0;
    OnCharacter(kReplacement, out);
  }
  utf8_low_ = 0x80;
  utf8_high_ = 0xbf;
  if (byte < 0x80) {
    OnCharacter(byte, out);
  } else if (byte >= 0xc2 && byte <= 0xdf) {
    utf8_value_ = byte & 0x1f;
    utf8_missing_ = 1;
  } else if (byte >= 0xe0 && byte <= 0xef) {
    utf8_value_ = byte & 0x0f;
    utf8_missing_ = 2;
    if (byte == 0xe0) utf8_low_ = 0xa0;
    if (byte == 0xed) utf8_high_ = 0x9f;
  } else if (byte >= 0xf0 && byte <= 0xf4) {
    utf8_value_ = byte & 0x07;
    utf8_missing_ = 3;
    if (byte == 0xf0) utf8_low_ = 0x90;
    if (byte == 0xf4) utf8_high_ = 0x8f;
  } else {
    OnCharacter(kReplacement, out);
  }
}

void TerminalFilter::OnCharacter(char32_t c, std::string* out) {
  const bool in_string =
      state_ == State::kString || state_ == State::kStringEscape;
  if (c == 0x18 || c == 0x1a) {  // CAN and SUB end every sequence
    state_ = State::kGround;
    return;
  }
  if (in_string) {
    if (state_ == State::kStringEscape) {
      // ESC ends the string; with a backslash it is the proper end, with
      // anything else the beginning of another sequence.
      state_ = State::kEscape;
      sequence_.clear();
      is_too_long_ = false;
      if (c == '\\') {
        state_ = State::kGround;
        return;
      }
    } else {
      OnString(c);
      return;
    }
  }
  if (c == kEscape) {
    StartSequence(State::kEscape);
    return;
  }
  if (c >= 0x80 && c <= 0x9f) {  // C1 is ESC and the character 0x40 below
    StartSequence(State::kEscape);
    OnEscape(c - 0x40, out);
    return;
  }
  if (c < 0x20 || c == 0x7f) {
    // A terminal obeys controls in the midst of a sequence, too.
    OnControl(c, out);
    return;
  }
  switch (state_) {
    case State::kGround:
      AppendUtf8(c, out);
      break;
    case State::kEscape:
      OnEscape(c, out);
      break;
    case State::kControlSequence:
      OnControlSequence(c, out);
      break;
    case State::kString:
    case State::kStringEscape:
      break;
  }
}

void TerminalFilter::OnControl(char32_t c, std::string* out) {
  switch (c) {
    case '\a':
    case '\b':
    case '\t':
    case '\n':
    case '\v':
    case '\f':
    case '\r':
      out->push_back(static_cast<char>(c));
      break;
    case 0x0e:  // shift out, shift in: ncurses draws lines with them
    case 0x0f:
      has_charset_ = true;
      out->push_back(static_cast<char>(c));
      break;
    default:  // among them ENQ, which is answered
      break;
  }
}

void TerminalFilter::StartSequence(State state) {
  state_ = state;
  sequence_.clear();
  is_too_long_ = false;
}

void TerminalFilter::OnString(char32_t c) {
  // Nothing of a string is kept: none passes.
  if (c == kEscape) {
    state_ = State::kStringEscape;
  } else if (c == 0x9c || (is_osc_ && c == '\a')) {
    state_ = State::kGround;
  }
}

void TerminalFilter::OnEscape(char32_t c, std::string* out) {
  if (c >= 0x80) {  // no terminal agrees with another here
    state_ = State::kGround;
    return;
  }
  const char byte = static_cast<char>(c);
  if (byte >= 0x20 && byte <= 0x2f) {
    if (sequence_.size() < kMaxSequenceBytes) {
      sequence_.push_back(byte);
    } else {
      is_too_long_ = true;
    }
    return;
  }
  if (sequence_.empty()) {
    switch (byte) {
      case '[':
        StartSequence(State::kControlSequence);
        return;
      case ']':
      case 'P':
      case 'X':
      case '^':
      case '_':
        StartSequence(State::kString);
        is_osc_ = byte == ']';
        return;
      default:
        break;
    }
  }
  FinishEscape(byte, out);
}

void TerminalFilter::FinishEscape(char final, std::string* out) {
  state_ = State::kGround;
  if (is_too_long_) return;
  if (sequence_.empty()) {
    // Cursor save and restore, keypad, index, next line, tab, reverse index,
    // single shifts, full reset. Not Z, which is answered.
    if (!Contains("78=>DEHMNOc", final)) return;
    if (final == '=') has_keypad_ = true;
    if (final == '>') has_keypad_ = false;
  } else if (sequence_.size() == 1 && Contains("()*+", sequence_[0])) {
    if (!Contains("0AB", final)) return;  // line drawing, British, ASCII
    has_charset_ = true;
  } else if (sequence_ == "#") {
    if (!Contains("34568", final)) return;  // double size, alignment
  } else {
    return;
  }
  absl::StrAppend(out, "\x1b", sequence_, absl::string_view(&final, 1));
}

void TerminalFilter::OnControlSequence(char32_t c, std::string* out) {
  if (c >= 0x80) {
    state_ = State::kGround;
    return;
  }
  const char byte = static_cast<char>(c);
  if (byte >= 0x40) {
    FinishControlSequence(byte, out);
    return;
  }
  if (sequence_.size() < kMaxSequenceBytes) {
    sequence_.push_back(byte);
  } else {
    is_too_long_ = true;
  }
}

void TerminalFilter::FinishControlSequence(char final, std::string* out) {
  state_ = State::kGround;
  if (is_too_long_) return;

  absl::string_view rest = sequence_;
  char prefix = 0;
  if (!rest.empty() && Contains("<=>?", rest[0])) {
    prefix = rest[0];
    rest.remove_prefix(1);
  }
  const size_t end = rest.find_first_not_of("0123456789;:");
  const absl::string_view parameters = rest.substr(0, end);
  const absl::string_view intermediates = rest.substr(parameters.size());

  if (prefix == '?' && intermediates.empty() && Contains("hl", final)) {
    FinishModes(final == 'h', out);
    return;
  }
  bool passes = false;
  if (prefix == 0 && intermediates.empty()) {
    // Editing, cursor, tabs, erasing, scrolling, attributes, margins.
    passes = Contains("@ABCDEFGHIJKLMPSXZ`abdefgmrsu", final);
    // Scroll down; with more parameters it starts mouse highlighting.
    if (final == 'T') passes = !Contains(parameters, ';');
    // Insert mode; others lock the keyboard or change what Return sends.
    if (Contains("hl", final)) passes = parameters == "4";
  } else if (prefix == '?' && intermediates.empty()) {
    passes = Contains("JK", final);  // selective erase
  } else if (prefix == 0) {
    passes = (intermediates == " " && final == 'q') ||  // cursor's shape
             (intermediates == "!" && final == 'p') ||  // soft reset
             (intermediates == "\"" && final == 'q');   // protection
  }
  if (!passes) return;
  if (prefix == 0 && intermediates.empty()) {
    if (final == 'm')
      has_attributes_ = !(parameters.empty() || parameters == "0");
    if (final == 'r') has_margins_ = !parameters.empty();
    if (final == 'h') has_insert_mode_ = true;
    if (final == 'l') has_insert_mode_ = false;
  }
  if (intermediates == " ") has_cursor_style_ = true;
  absl::StrAppend(out, "\x1b[", sequence_, absl::string_view(&final, 1));
}

// One sequence may set many modes: those of the list stay.
void TerminalFilter::FinishModes(bool set, std::string* out) {
  std::vector<int> modes;
  const absl::string_view parameters = absl::string_view(sequence_).substr(1);
  for (const absl::string_view item : absl::StrSplit(parameters, ';')) {
    for (const int mode : kModes) {
      if (item == absl::StrCat(mode)) modes.push_back(mode);
    }
  }
  if (modes.empty()) return;
  absl::string_view separator = "\x1b[?";
  for (const int mode : modes) {
    absl::StrAppend(out, separator, mode);
    separator = ";";
    if (set == IsOnByDefault(mode)) {
      changed_modes_.erase(mode);
    } else if (mode != 1048 && mode != 12) {
      // 1048 is an action; blinking is a matter of the user's taste.
      changed_modes_.insert(mode);
    }
  }
  out->push_back(set ? 'h' : 'l');
}

std::string TerminalFilter::Reset() const {
  std::string out;
  for (const int mode : changed_modes_) {
    absl::StrAppend(&out, "\x1b[?", mode, IsOnByDefault(mode) ? "h" : "l");
  }
  if (has_insert_mode_) absl::StrAppend(&out, "\x1b[4l");
  // Setting margins moves the cursor, so it is kept across.
  if (has_margins_)
    absl::StrAppend(&out,
                    "\x1b"
                    "7\x1b[r\x1b"
                    "8");
  if (has_keypad_) absl::StrAppend(&out, "\x1b>");
  if (has_charset_) absl::StrAppend(&out, "\x1b(B\x0f");
  if (has_cursor_style_) absl::StrAppend(&out, "\x1b[0 q");
  if (has_attributes_) absl::StrAppend(&out, "\x1b[0m");
  return out;
}

}  // namespace vmsilo::cli
