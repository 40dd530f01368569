#include "command/frame.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/byte_reader.h"
#include "common/status_macros.h"

namespace vmsilo::command {
namespace {

// Types below kFirstOptional are part of a version; from there on, a receiver
// that does not know a type skips the frame.
enum class Type : uint8_t {
  kHello = 0x01,
  kStart = 0x02,
  kStarted = 0x03,
  kEnd = 0x04,
  kCredit = 0x05,
  kWindowSize = 0x06,
  kSignal = 0x07,
  kExit = 0x08,
  kError = 0x09,
  kStdin = 0x10,
  kStdout = 0x11,
  kStderr = 0x12,
};
constexpr uint8_t kFirstOptional = 0x80;

// Tells this protocol from anything else that may speak on the port.
constexpr absl::string_view kMagic("vmsilo\r\n", 8);
constexpr size_t kHelloBytes = 16;

constexpr uint8_t kFlagDetach = 1 << 0;
constexpr uint8_t kFlagTty = 1 << 1;

struct SizeRange {
  size_t min = 0;
  size_t max = 0;
};

// What the payload of a type may measure; nullopt for a type that is unknown
// and may not be skipped.
std::optional<SizeRange> PayloadSize(uint8_t type) {
  if (type >= kFirstOptional) return SizeRange{0, kMaxSkippedBytes};
  switch (static_cast<Type>(type)) {
    case Type::kHello:
      return SizeRange{kHelloBytes, kMaxHelloBytes};
    case Type::kStart:
      return SizeRange{1, kMaxStartBytes};
    case Type::kStarted:
      return SizeRange{4, 4};
    case Type::kEnd:
      return SizeRange{1, 1};
    case Type::kCredit:
      return SizeRange{5, 5};
    case Type::kWindowSize:
      return SizeRange{8, 8};
    case Type::kSignal:
      return SizeRange{1, 1};
    case Type::kExit:
      return SizeRange{2, 2};
    case Type::kError:
      return SizeRange{2, 2 + kMaxErrorBytes};
    case Type::kStdin:
    case Type::kStdout:
    case Type::kStderr:
      return SizeRange{1, kMaxDataBytes};
  }
  return std::nullopt;
}

void AppendHeader(Type type, size_t size, std::string* out) {
  AppendLittleEndian<uint32_t>(static_cast<uint32_t>(size), out);
  out->push_back(static_cast<char>(type));
  out->append(3, '\0');
}

void AppendString(absl::string_view text, std::string* out) {
  AppendLittleEndian<uint32_t>(static_cast<uint32_t>(text.size()), out);
  out->append(text.data(), text.size());
}

void AppendWindowSize(const WindowSize& size, std::string* out) {
  AppendLittleEndian(size.rows, out);
  AppendLittleEndian(size.columns, out);
  AppendLittleEndian(size.x_pixels, out);
  AppendLittleEndian(size.y_pixels, out);
}

absl::string_view TakeString(ByteReader* reader) {
  return reader->Bytes(reader->Number<uint32_t>());
}

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("command protocol: ", what));
}

absl::StatusOr<Stream> DecodeStream(uint8_t value) {
  if (value >= kStreams) return Bad("no such stream");
  return static_cast<Stream>(value);
}

WindowSize DecodeWindowSize(ByteReader* reader) {
  WindowSize size;
  size.rows = reader->Number<uint16_t>();
  size.columns = reader->Number<uint16_t>();
  size.x_pixels = reader->Number<uint16_t>();
  size.y_pixels = reader->Number<uint16_t>();
  return size;
}

absl::StatusOr<Hello> DecodeHello(ByteReader reader) {
  if (reader.Bytes(kMagic.size()) != kMagic) return Bad("HELLO without magic");
  Hello hello;
  hello.min_version = reader.Number<uint16_t>();
  hello.max_version = reader.Number<uint16_t>();
  hello.window = reader.Number<uint32_t>();
  if (hello.min_version > hello.max_version) return Bad("HELLO: no version");
  if (hello.window < kMinWindow || hello.window > kMaxWindow) {
    return Bad("HELLO: window out of range");
  }
  return hello;
}

absl::StatusOr<Start> DecodeStart(ByteReader reader) {
  Start start;
  const uint8_t flags = reader.Number<uint8_t>();
  if ((flags & ~(kFlagDetach | kFlagTty)) != 0) {
    return Bad("START: unknown flags");
  }
  start.detach = (flags & kFlagDetach) != 0;
  start.tty = (flags & kFlagTty) != 0;
  start.window_size = DecodeWindowSize(&reader);
  const size_t arguments = reader.Number<uint16_t>();
  const size_t environment = reader.Number<uint16_t>();
  // Before anything is stored. Each string takes four bytes at least, so that
  // the frame's size bounds the counts once more.
  if (arguments > kMaxArguments || environment > kMaxEnvironment) {
    return Bad("START: too many strings");
  }
  start.directory = std::string(TakeString(&reader));
  for (size_t i = 0; i < arguments && !reader.has_failed(); ++i) {
    start.arguments.emplace_back(TakeString(&reader));
  }
  for (size_t i = 0; i < environment && !reader.has_failed(); ++i) {
    start.environment.emplace_back(TakeString(&reader));
  }
  if (!reader.is_at_end()) return Bad("START: wrong length");
  VMSILO_RETURN_IF_ERROR(Validate(start));
  return start;
}

absl::StatusOr<Frame> DecodePayload(Type type, absl::string_view payload) {
  ByteReader reader(payload);
  switch (type) {
    case Type::kHello:
      return DecodeHello(reader);
    case Type::kStart:
      return DecodeStart(reader);
    case Type::kStarted:
      return Started{.pid = reader.Number<uint32_t>()};
    case Type::kEnd: {
      VMSILO_ASSIGN_OR_RETURN(const Stream stream,
                              DecodeStream(reader.Number<uint8_t>()));
      return End{.stream = stream};
    }
    case Type::kCredit: {
      VMSILO_ASSIGN_OR_RETURN(const Stream stream,
                              DecodeStream(reader.Number<uint8_t>()));
      const uint32_t bytes = reader.Number<uint32_t>();
      if (bytes == 0 || bytes > kMaxWindow) {
        return Bad("CREDIT out of range");
      }
      return Credit{.stream = stream, .bytes = bytes};
    }
    case Type::kWindowSize:
      return DecodeWindowSize(&reader);
    case Type::kSignal: {
      const uint8_t number = reader.Number<uint8_t>();
      if (number == 0 || number > kMaxSignal) return Bad("no such signal");
      return Signal{.number = number};
    }
    case Type::kExit: {
      const uint8_t how = reader.Number<uint8_t>();
      const uint8_t value = reader.Number<uint8_t>();
      if (how > static_cast<uint8_t>(Exit::How::kKilled)) {
        return Bad("EXIT: unknown kind");
      }
      const Exit exit = {.how = static_cast<Exit::How>(how), .value = value};
      if (exit.how == Exit::How::kKilled &&
          (exit.value == 0 || exit.value > kMaxSignal)) {
        return Bad("EXIT: no such signal");
      }
      return exit;
    }
    case Type::kError: {
      const uint16_t code = reader.Number<uint16_t>();
      return Error{.code = code, .message = std::string(reader.Rest())};
    }
    case Type::kStdin:
    case Type::kStdout:
    case Type::kStderr:
      return Data{
          .stream = static_cast<Stream>(static_cast<uint8_t>(type) -
                                        static_cast<uint8_t>(Type::kStdin)),
          .bytes = payload};
  }
  return Bad("unknown frame");
}

struct FrameAppender {
  std::string* out;

  void operator()(const Hello& hello) const {
    AppendHeader(Type::kHello, kHelloBytes, out);
    absl::StrAppend(out, kMagic);
    AppendLittleEndian(hello.min_version, out);
    AppendLittleEndian(hello.max_version, out);
    AppendLittleEndian(hello.window, out);
  }
  void operator()(const Start& start) const {
    std::string payload;
    AppendLittleEndian<uint8_t>(
        (start.detach ? kFlagDetach : 0) | (start.tty ? kFlagTty : 0),
        &payload);
    AppendWindowSize(start.window_size, &payload);
    AppendLittleEndian<uint16_t>(start.arguments.size(), &payload);
    AppendLittleEndian<uint16_t>(start.environment.size(), &payload);
    AppendString(start.directory, &payload);
    for (const std::string& text : start.arguments) {
      AppendString(text, &payload);
    }
    for (const std::string& text : start.environment) {
      AppendString(text, &payload);
    }
    AppendHeader(Type::kStart, payload.size(), out);
    out->append(payload);
  }
  void operator()(const Started& started) const {
    AppendHeader(Type::kStarted, 4, out);
    AppendLittleEndian(started.pid, out);
  }
  void operator()(const Data& data) const {
    AppendDataHeader(data.stream, data.bytes.size(), out);
    out->append(data.bytes.data(), data.bytes.size());
  }
  void operator()(const End& end) const {
    AppendHeader(Type::kEnd, 1, out);
    AppendLittleEndian(static_cast<uint8_t>(end.stream), out);
  }
  void operator()(const Credit& credit) const {
    AppendHeader(Type::kCredit, 5, out);
    AppendLittleEndian(static_cast<uint8_t>(credit.stream), out);
    AppendLittleEndian(credit.bytes, out);
  }
  void operator()(const WindowSize& size) const {
    AppendHeader(Type::kWindowSize, 8, out);
    AppendWindowSize(size, out);
  }
  void operator()(const Signal& signal) const {
    AppendHeader(Type::kSignal, 1, out);
    AppendLittleEndian(signal.number, out);
  }
  void operator()(const Exit& exit) const {
    AppendHeader(Type::kExit, 2, out);
    AppendLittleEndian(static_cast<uint8_t>(exit.how), out);
    AppendLittleEndian(exit.value, out);
  }
  void operator()(const Error& error) const {
    const absl::string_view message =
        absl::string_view(error.message).substr(0, kMaxErrorBytes);
    AppendHeader(Type::kError, 2 + message.size(), out);
    AppendLittleEndian(error.code, out);
    out->append(message.data(), message.size());
  }
};

}  // namespace

void AppendFrame(const Frame& frame, std::string* out) {
  std::visit(FrameAppender{out}, frame);
}

void AppendDataHeader(Stream stream, size_t size, std::string* out) {
  AppendHeader(static_cast<Type>(static_cast<uint8_t>(Type::kStdin) +
                                 static_cast<uint8_t>(stream)),
               size, out);
}

absl::Status Validate(const Start& start) {
  const auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(what);
  };
  if (start.detach && start.tty) {
    return bad("a detached command has no terminal");
  }
  if (start.arguments.empty() || start.arguments[0].empty()) {
    return bad("no command");
  }
  if (start.arguments.size() > kMaxArguments) {
    return bad(absl::StrCat("more than ", kMaxArguments, " arguments"));
  }
  if (start.environment.size() > kMaxEnvironment) {
    return bad(
        absl::StrCat("more than ", kMaxEnvironment, " environment variables"));
  }
  if (start.directory.size() > kMaxDirectoryBytes) {
    return bad("the path of the directory is too long");
  }
  // Flags, window size, two counts; then each string with its length.
  size_t size = 1 + 8 + 4 + 4 + start.directory.size();
  const auto has_nul = [](absl::string_view text) {
    return text.find('\0') != absl::string_view::npos;
  };
  if (has_nul(start.directory)) return bad("NUL in the directory");
  for (const std::string& text : start.arguments) {
    if (has_nul(text)) return bad("NUL in an argument");
    size += 4 + text.size();
  }
  for (const std::string& text : start.environment) {
    const size_t equals = text.find('=');
    if (has_nul(text)) return bad("NUL in an environment variable");
    if (equals == std::string::npos || equals == 0) {
      return bad("an environment variable is not NAME=VALUE");
    }
    size += 4 + text.size();
  }
  if (size > kMaxStartBytes) {
    return bad(absl::StrCat("arguments and environment together exceed ",
                            kMaxStartBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Frame>> Decoder::Next(absl::string_view* input) {
  const auto fail = [this](absl::Status status) {
    held_.clear();
    held_.shrink_to_fit();
    error_ = status;
    return status;
  };
  if (!error_.ok()) return error_;
  if (is_returned_) {
    held_.clear();
    is_returned_ = false;
    // Only a START is larger, and there is one of it.
    if (held_.capacity() > 2 * kMaxDataBytes) held_.shrink_to_fit();
  }
  // Moves bytes to held_ until it has `size`; false if there are not enough.
  const auto hold = [&](size_t size) {
    const size_t more = std::min(size - held_.size(), input->size());
    held_.append(input->data(), more);
    input->remove_prefix(more);
    return held_.size() == size;
  };
  for (;;) {
    const bool is_whole = held_.empty() && input->size() >= kHeaderBytes;
    if (!is_whole && held_.size() < kHeaderBytes && !hold(kHeaderBytes)) {
      return std::optional<Frame>();
    }
    const absl::string_view header =
        (is_whole ? *input : absl::string_view(held_)).substr(0, kHeaderBytes);
    ByteReader reader(header);
    const size_t size = reader.Number<uint32_t>();
    const uint8_t type = reader.Number<uint8_t>();
    if (reader.Bytes(3) != absl::string_view("\0\0\0", 3)) {
      return fail(Bad("reserved bytes are not zero"));
    }
    const std::optional<SizeRange> range = PayloadSize(type);
    if (!range.has_value()) {
      return fail(Bad(absl::StrFormat("unknown frame type 0x%02x", type)));
    }
    if (size < range->min || size > range->max) {
      return fail(
          Bad(absl::StrFormat("frame type 0x%02x with %d bytes", type, size)));
    }

    absl::string_view payload;
    if (is_whole && input->size() - kHeaderBytes >= size) {
      payload = input->substr(kHeaderBytes, size);
      input->remove_prefix(kHeaderBytes + size);
    } else {
      if (!hold(kHeaderBytes + size)) return std::optional<Frame>();
      payload = absl::string_view(held_).substr(kHeaderBytes);
    }
    if (type >= kFirstOptional) {
      held_.clear();
      continue;
    }
    absl::StatusOr<Frame> frame =
        DecodePayload(static_cast<Type>(type), payload);
    if (!frame.ok()) return fail(frame.status());
    is_returned_ = true;
    return std::optional<Frame>(*std::move(frame));
  }
}

}  // namespace vmsilo::command
