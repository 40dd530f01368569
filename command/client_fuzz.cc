#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "command/client.h"
#include "command/frame.h"
#include "command/limits.h"

namespace {

using namespace vmsilo::command;

// A person's side that checks what it is told.
class Checker : public ClientSession::Handler {
 public:
  void OnStarted(uint32_t) override {
    if (is_started) abort();
    is_started = true;
  }
  void OnOutput(Stream stream, absl::string_view bytes) override {
    const size_t i = static_cast<size_t>(stream);
    if (!is_started || stream == Stream::kStdin || has_ended[i]) abort();
    if (bytes.empty() || bytes.size() > kMaxDataBytes) abort();
    held[i] += bytes.size();
    if (held[i] > kDefaultWindow) abort();  // more than was offered
  }
  void OnOutputEnd(Stream stream) override {
    const size_t i = static_cast<size_t>(stream);
    if (!is_started || stream == Stream::kStdin || has_ended[i]) abort();
    has_ended[i] = true;
  }
  bool is_started = false;
  std::array<size_t, kStreams> held = {};
  std::array<bool, kStreams> has_ended = {};
};

}  // namespace

// The first byte chooses the command and the reader's habits, the rest is what
// an agent sends.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t habits = data[0];
  Start start;
  start.detach = (habits & 3) == 1;
  start.tty = (habits & 3) == 2;
  start.arguments = {"x"};
  Checker checker;
  ClientSession session(start, &checker);
  absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t piece = 1 + (habits >> 3) * 37;
  while (!bytes.empty()) {
    const absl::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    const absl::Status status = session.Receive(input);
    if (!status.ok()) {
      if (session.ReceiveEnd().ok() != session.outcome().has_value()) abort();
      return 0;
    }
    if ((habits & 4) != 0) {
      for (const Stream stream : {Stream::kStdout, Stream::kStderr}) {
        session.Consumed(stream, checker.held[static_cast<size_t>(stream)]);
        checker.held[static_cast<size_t>(stream)] = 0;
      }
      session.Consume(session.pending().size());
    }
    // Whatever credit it was given, its memory is bounded.
    while (const size_t capacity = session.StdinCapacity()) {
      if (capacity > kMaxDataBytes) abort();
      session.SendStdin(std::string(capacity, 'i'));
    }
    if (session.pending().size() > kMaxQueuedBytes + kMaxStartBytes) abort();
  }
  if (session.outcome().has_value()) {
    const int status = ExitStatus(*session.outcome());
    if (status < 0 || status > 128 + 255) abort();
  }
  if (session.ReceiveEnd().ok() != session.outcome().has_value()) abort();
  return 0;
}
