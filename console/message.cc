#include "console/message.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/byte_reader.h"
#include "common/status_macros.h"
#include "console/limits.h"

namespace vmsilo::console {
namespace {

enum class Type : uint8_t {
  kAttach = 0x01,
  kInput = 0x02,
  kWindowSize = 0x03,
  kStatusRequest = 0x04,
  kAttached = 0x11,
  kOutput = 0x12,
  kLost = 0x13,
  kGuest = 0x14,
  kRoleChange = 0x15,
  kStatus = 0x16,
  kError = 0x17,
};

constexpr uint8_t kFlagTakesOver = 1 << 0;
constexpr uint8_t kFlagResumes = 1 << 1;

constexpr uint8_t kFlagGuest = 1 << 0;
constexpr uint8_t kFlagTerminal = 1 << 1;
constexpr uint8_t kFlagWriter = 1 << 2;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("console protocol: ", what));
}

absl::StatusOr<Role> DecodeRole(uint8_t value) {
  if (value > static_cast<uint8_t>(Role::kWriter)) return Bad("no such role");
  return static_cast<Role>(value);
}

// Builds a packet by its fields.
class Packet {
 public:
  explicit Packet(Type type) { Add(static_cast<uint8_t>(type)); }

  template <typename T>
  Packet& Add(T value) {
    AppendLittleEndian(value, &bytes_);
    return *this;
  }
  Packet& Add(Role role) { return Add(static_cast<uint8_t>(role)); }
  Packet& Add(WindowSize size) { return Add(size.rows).Add(size.columns); }
  Packet& AddBytes(absl::string_view bytes) {
    absl::StrAppend(&bytes_, bytes);
    return *this;
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

struct Encoder {
  std::string operator()(const Attach& attach) const {
    const uint8_t flags = (attach.takes_over ? kFlagTakesOver : 0) |
                          (attach.resumes ? kFlagResumes : 0);
    return Packet(Type::kAttach)
        .Add(attach.version)
        .Add(attach.role)
        .Add(flags)
        .Add(attach.epoch)
        .Add(attach.position)
        .Take();
  }
  std::string operator()(const Input& input) const {
    return Packet(Type::kInput).AddBytes(input.bytes).Take();
  }
  std::string operator()(const WindowSize& size) const {
    return Packet(Type::kWindowSize).Add(size).Take();
  }
  std::string operator()(const StatusRequest&) const {
    return Packet(Type::kStatusRequest).Take();
  }
  std::string operator()(const Attached& attached) const {
    return Packet(Type::kAttached)
        .Add(attached.version)
        .Add(attached.role)
        .Add(static_cast<uint8_t>(attached.has_guest ? kFlagGuest : 0))
        .Add(attached.epoch)
        .Add(attached.position)
        .Take();
  }
  std::string operator()(const Output& output) const {
    return absl::StrCat(EncodeOutputHead(output.position), output.bytes);
  }
  std::string operator()(const Lost& lost) const {
    return Packet(Type::kLost).Add(lost.from).Add(lost.to).Take();
  }
  std::string operator()(const Guest& guest) const {
    return Packet(Type::kGuest)
        .Add(static_cast<uint8_t>(guest.is_connected ? kFlagGuest : 0))
        .Take();
  }
  std::string operator()(const RoleChange& change) const {
    return Packet(Type::kRoleChange).Add(change.role).Take();
  }
  std::string operator()(const Status& status) const {
    const uint8_t flags = (status.has_guest ? kFlagGuest : 0) |
                          (status.is_terminal_open ? kFlagTerminal : 0) |
                          (status.has_writer ? kFlagWriter : 0);
    return Packet(Type::kStatus)
        .Add(flags)
        .Add(status.viewers)
        .Add(status.from_guest)
        .Add(status.to_guest)
        .Add(status.to_guest_lost)
        .Add(status.terminal_lost)
        .Add(status.log_lost)
        .Add(status.guest_connections)
        .Add(status.scrollback)
        .Add(status.window_size)
        .Take();
  }
  std::string operator()(const Error& error) const {
    return Packet(Type::kError)
        .Add(error.code)
        .AddBytes(absl::string_view(error.message).substr(0, kMaxErrorBytes))
        .Take();
  }
};

WindowSize DecodeWindowSize(ByteReader* reader) {
  WindowSize size;
  size.rows = reader->Number<uint16_t>();
  size.columns = reader->Number<uint16_t>();
  return size;
}

absl::StatusOr<Attach> DecodeAttach(ByteReader reader) {
  Attach attach;
  attach.version = reader.Number<uint16_t>();
  VMSILO_ASSIGN_OR_RETURN(attach.role, DecodeRole(reader.Number<uint8_t>()));
  const auto flags = reader.Number<uint8_t>();
  attach.takes_over = (flags & kFlagTakesOver) != 0;
  attach.resumes = (flags & kFlagResumes) != 0;
  attach.epoch = reader.Number<uint64_t>();
  attach.position = reader.Number<uint64_t>();
  if (reader.has_failed()) return Bad("ATTACH is too short");
  return attach;
}

absl::StatusOr<Attached> DecodeAttached(ByteReader reader) {
  Attached attached;
  attached.version = reader.Number<uint16_t>();
  VMSILO_ASSIGN_OR_RETURN(attached.role, DecodeRole(reader.Number<uint8_t>()));
  attached.has_guest = (reader.Number<uint8_t>() & kFlagGuest) != 0;
  attached.epoch = reader.Number<uint64_t>();
  attached.position = reader.Number<uint64_t>();
  if (reader.has_failed()) return Bad("ATTACHED is too short");
  return attached;
}

absl::StatusOr<Output> DecodeOutput(ByteReader reader) {
  Output output;
  output.position = reader.Number<uint64_t>();
  output.bytes = reader.Rest();
  if (reader.has_failed() || output.bytes.empty() ||
      output.bytes.size() > kMaxOutputBytes) {
    return Bad("OUTPUT has a wrong length");
  }
  return output;
}

absl::StatusOr<Lost> DecodeLost(ByteReader reader) {
  Lost lost;
  lost.from = reader.Number<uint64_t>();
  lost.to = reader.Number<uint64_t>();
  if (reader.has_failed() || lost.from >= lost.to) {
    return Bad("LOST is not a range");
  }
  return lost;
}

absl::StatusOr<Status> DecodeStatus(ByteReader reader) {
  Status status;
  const auto flags = reader.Number<uint8_t>();
  status.has_guest = (flags & kFlagGuest) != 0;
  status.is_terminal_open = (flags & kFlagTerminal) != 0;
  status.has_writer = (flags & kFlagWriter) != 0;
  status.viewers = reader.Number<uint32_t>();
  status.from_guest = reader.Number<uint64_t>();
  status.to_guest = reader.Number<uint64_t>();
  status.to_guest_lost = reader.Number<uint64_t>();
  status.terminal_lost = reader.Number<uint64_t>();
  status.log_lost = reader.Number<uint64_t>();
  status.guest_connections = reader.Number<uint64_t>();
  status.scrollback = reader.Number<uint64_t>();
  status.window_size = DecodeWindowSize(&reader);
  if (reader.has_failed()) return Bad("STATUS is too short");
  return status;
}

absl::StatusOr<Error> DecodeError(ByteReader reader) {
  Error error;
  error.code = reader.Number<uint16_t>();
  error.message = std::string(reader.Rest());
  if (reader.has_failed() || error.message.size() > kMaxErrorBytes) {
    return Bad("ERROR has a wrong length");
  }
  return error;
}

}  // namespace

std::string Encode(const FromViewer& message) {
  return std::visit(Encoder(), message);
}

std::string Encode(const FromRelay& message) {
  return std::visit(Encoder(), message);
}

std::string EncodeOutputHead(uint64_t position) {
  return Packet(Type::kOutput).Add(position).Take();
}

absl::StatusOr<FromViewer> DecodeFromViewer(absl::string_view packet) {
  ByteReader reader(packet);
  switch (static_cast<Type>(reader.Number<uint8_t>())) {
    case Type::kAttach:
      return DecodeAttach(reader);
    case Type::kInput: {
      const absl::string_view bytes = reader.Rest();
      if (bytes.empty() || bytes.size() > kMaxInputBytes) {
        return Bad("INPUT has a wrong length");
      }
      return Input{.bytes = bytes};
    }
    case Type::kWindowSize: {
      const WindowSize size = DecodeWindowSize(&reader);
      if (reader.has_failed()) return Bad("WINDOW_SIZE is too short");
      return size;
    }
    case Type::kStatusRequest:
      return StatusRequest();
    default:
      return Bad("unknown message");
  }
}

absl::StatusOr<FromRelay> DecodeFromRelay(absl::string_view packet) {
  ByteReader reader(packet);
  switch (static_cast<Type>(reader.Number<uint8_t>())) {
    case Type::kAttached:
      return DecodeAttached(reader);
    case Type::kOutput:
      return DecodeOutput(reader);
    case Type::kLost:
      return DecodeLost(reader);
    case Type::kGuest: {
      const bool is_connected = (reader.Number<uint8_t>() & kFlagGuest) != 0;
      if (reader.has_failed()) return Bad("GUEST is too short");
      return Guest{.is_connected = is_connected};
    }
    case Type::kRoleChange: {
      VMSILO_ASSIGN_OR_RETURN(const Role role,
                              DecodeRole(reader.Number<uint8_t>()));
      if (reader.has_failed()) return Bad("ROLE is too short");
      return RoleChange{.role = role};
    }
    case Type::kStatus:
      return DecodeStatus(reader);
    case Type::kError:
      return DecodeError(reader);
    default:
      return Bad("unknown message");
  }
}

}  // namespace vmsilo::console
