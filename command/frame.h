#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "command/limits.h"

// The frames of the command channel, as docs/command-protocol.md specifies
// them. This is the codec: it knows what one frame may look like. Who may send
// which frame when is the business of client.h and server.h.
namespace vmsilo::command {

inline constexpr uint16_t kVersion = 1;     // the newest spoken here
inline constexpr uint16_t kMinVersion = 1;  // the oldest

enum class Stream : uint8_t { kStdin = 0, kStdout = 1, kStderr = 2 };
inline constexpr size_t kStreams = 3;

struct Hello {
  uint16_t min_version = kMinVersion;
  uint16_t max_version = kVersion;
  // Bytes that the sender of the HELLO takes of each stream that flows to it,
  // before it has given any back.
  uint32_t window = kDefaultWindow;
  friend bool operator==(const Hello&, const Hello&) = default;
};

// Character cells and pixels; 0 is "unknown", as in man 2 TIOCGWINSZ.
struct WindowSize {
  uint16_t rows = 0;
  uint16_t columns = 0;
  uint16_t x_pixels = 0;
  uint16_t y_pixels = 0;
  friend bool operator==(const WindowSize&, const WindowSize&) = default;
};

struct Start {
  bool detach = false;  // answer STARTED and let go; no streams
  bool tty = false;     // one terminal instead of three pipes; not with detach
  WindowSize window_size;
  std::string directory;                 // empty: the user's home
  std::vector<std::string> arguments;    // at least one; [0] is not empty
  std::vector<std::string> environment;  // NAME=VALUE
  friend bool operator==(const Start&, const Start&) = default;
};

struct Started {
  uint32_t pid = 0;  // in the guest; for messages only
  friend bool operator==(const Started&, const Started&) = default;
};

struct Data {
  Stream stream = Stream::kStdin;
  // Never empty. Points into the decoder or its input: good until the next
  // call of Next().
  absl::string_view bytes;
  friend bool operator==(const Data&, const Data&) = default;
};

struct End {
  Stream stream = Stream::kStdin;
  friend bool operator==(const End&, const End&) = default;
};

struct Credit {
  Stream stream = Stream::kStdin;
  uint32_t bytes = 0;  // 1 to kMaxWindow
  friend bool operator==(const Credit&, const Credit&) = default;
};

struct Signal {
  uint8_t number = 0;  // 1 to kMaxSignal, numbered as Linux does on x86 and ARM
  friend bool operator==(const Signal&, const Signal&) = default;
};

struct Exit {
  enum class How : uint8_t { kExited = 0, kKilled = 1 };
  How how = How::kExited;
  uint8_t value = 0;  // exit status, or signal: 1 to kMaxSignal
  friend bool operator==(const Exit&, const Exit&) = default;
};

// Codes that a receiver does not know are treated as kInternal.
enum class ErrorCode : uint16_t {
  kInternal = 1,  // the sender's bug, or its system failed it
  kProtocol = 2,  // the receiver broke the protocol
  kNoCommonVersion = 3,
  kRefused = 4,            // the caller may not
  kBusy = 5,               // too many commands; later, perhaps
  kTimeout = 6,            // the receiver was silent for too long
  kCommandNotFound = 7,    // exit status 127
  kNotExecutable = 8,      // exit status 126
  kCannotStart = 9,        // the directory, the user, the terminal
  kVmUnreachable = 10,     // from the proxy: no such VM, or it does not run
  kAgentUnreachable = 11,  // from the proxy: the VM runs, nobody answers in it
  kShuttingDown = 12,      // the agent ends
};

struct Error {
  // Kept as it came, so that an unknown one can be shown.
  uint16_t code = static_cast<uint16_t>(ErrorCode::kInternal);
  std::string message;  // foreign bytes: for people, through Escaped()
  friend bool operator==(const Error&, const Error&) = default;
};

inline Error MakeError(ErrorCode code, absl::string_view message) {
  return Error{.code = static_cast<uint16_t>(code),
               .message = std::string(message.substr(0, kMaxErrorBytes))};
}

using Frame = std::variant<Hello, Start, Started, Data, End, Credit, WindowSize,
                           Signal, Exit, Error>;

// Appends the frame's bytes. The frame must be within the limits (Validate()).
void AppendFrame(const Frame& frame, std::string* out);

// Appends the header of a data frame whose `size` bytes of payload the caller
// appends: saves a copy where it is read from a file descriptor.
void AppendDataHeader(Stream stream, size_t size, std::string* out);

// InvalidArgument with the reason, if `start` is not within the limits: for
// whoever makes one from a person's input.
absl::Status Validate(const Start& start);

// Cuts a connection's bytes into frames.
class Decoder {
 public:
  // Takes the next frame from the front of `*input`. nullopt: `*input` is used
  // up, more is needed. Frames of types that may be skipped are skipped.
  //
  // InvalidArgument if the bytes are not the protocol; the decoder then stays
  // in error. It never holds more than one frame, within the limit of its
  // type, whatever comes.
  absl::StatusOr<std::optional<Frame>> Next(absl::string_view* input);

  // Whether a frame has begun and not ended.
  bool is_inside_frame() const { return !is_returned_ && !held_.empty(); }

 private:
  absl::Status error_;
  std::string held_;          // a frame that came in pieces
  bool is_returned_ = false;  // the last frame given out points into held_
};

}  // namespace vmsilo::command
