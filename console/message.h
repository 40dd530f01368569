#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "console/limits.h"

// The messages between a console's relay and those who look at the console, as
// docs/console-protocol.md specifies them: one message is one packet of a
// SOCK_SEQPACKET socket.
namespace vmsilo::console {

inline constexpr uint16_t kVersion = 1;

// Who may type. A console has at most one writer here; whoever has its
// terminal may type as well.
enum class Role : uint8_t { kObserver = 0, kWriter = 1 };

// Character cells; 0 is "unknown".
struct WindowSize {
  uint16_t rows = 0;
  uint16_t columns = 0;
  friend bool operator==(const WindowSize&, const WindowSize&) = default;
};

// From a viewer.

// The first message of a viewer.
struct Attach {
  uint16_t version = kVersion;
  Role role = Role::kObserver;
  // Become the writer in the place of the one that there is.
  bool takes_over = false;
  // Go on where an earlier connection of this viewer ended, if the relay still
  // has the scrollback `epoch`. Otherwise from the beginning of what there is.
  bool resumes = false;
  uint64_t epoch = 0;
  uint64_t position = 0;
  friend bool operator==(const Attach&, const Attach&) = default;
};

struct Input {
  // Never empty. Points into the packet.
  absl::string_view bytes;
  friend bool operator==(const Input&, const Input&) = default;
};

// Allowed instead of Attach as well: `vmsilo status` only asks.
struct StatusRequest {
  friend bool operator==(const StatusRequest&, const StatusRequest&) = default;
};

// From the relay.

struct Attached {
  uint16_t version = kVersion;
  Role role = Role::kObserver;
  bool has_guest = false;  // a virtual machine is connected
  uint64_t epoch = 0;
  uint64_t position = 0;  // of the first byte that will come
  friend bool operator==(const Attached&, const Attached&) = default;
};

struct Output {
  uint64_t position = 0;
  // Never empty. Points into the packet.
  absl::string_view bytes;
  friend bool operator==(const Output&, const Output&) = default;
};

// Bytes fell out of the scrollback before this viewer could take them.
struct Lost {
  uint64_t from = 0;
  uint64_t to = 0;
  friend bool operator==(const Lost&, const Lost&) = default;
};

// The virtual machine has come or gone.
struct Guest {
  bool is_connected = false;
  friend bool operator==(const Guest&, const Guest&) = default;
};

// This viewer's role has changed: another has taken over.
struct RoleChange {
  Role role = Role::kObserver;
  friend bool operator==(const RoleChange&, const RoleChange&) = default;
};

// Counted since the scrollback was made, which is when the console's relay was
// first started; a restart of it does not reset them.
struct Status {
  bool has_guest = false;
  bool is_terminal_open = false;  // somebody has the terminal open
  uint32_t viewers = 0;
  bool has_writer = false;
  uint64_t from_guest = 0;     // bytes
  uint64_t to_guest = 0;       // bytes
  uint64_t to_guest_lost = 0;  // bytes typed while there was no guest
  uint64_t terminal_lost = 0;  // bytes that an open terminal did not take
  uint64_t log_lost = 0;       // bytes that the log could not take
  uint64_t guest_connections = 0;
  uint64_t scrollback = 0;  // bytes it holds at most
  WindowSize window_size;
  friend bool operator==(const Status&, const Status&) = default;
};

enum class ErrorCode : uint16_t {
  kProtocol = 1,   // the receiver broke the protocol
  kNoVersion = 2,  // no version in common
  kBusy = 3,       // too many viewers
  kHasWriter = 4,  // somebody else types; observe, or take over
};

struct Error {
  uint16_t code = static_cast<uint16_t>(ErrorCode::kProtocol);
  std::string message;  // for people, through Escaped()
  friend bool operator==(const Error&, const Error&) = default;
};

using FromViewer = std::variant<Attach, Input, WindowSize, StatusRequest>;
using FromRelay =
    std::variant<Attached, Output, Lost, Guest, RoleChange, Status, Error>;

// One packet. The message must be within the limits.
std::string Encode(const FromViewer& message);
std::string Encode(const FromRelay& message);

// The head of an Output packet, whose bytes the caller sends behind it.
std::string EncodeOutputHead(uint64_t position);

// InvalidArgument if `packet` is not a message of the protocol. Messages of
// later versions may be longer; what is behind the known fields is ignored.
absl::StatusOr<FromViewer> DecodeFromViewer(absl::string_view packet);
absl::StatusOr<FromRelay> DecodeFromRelay(absl::string_view packet);

}  // namespace vmsilo::console
