#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "command/frame.h"
#include "command/limits.h"
#include "command/server.h"

namespace {

using namespace vmsilo::command;

// An agent's side that checks what it is told.
class Checker : public ServerSession::Handler {
 public:
  void OnStart(const Start& start) override {
    if (has_start || !Validate(start).ok()) abort();
    has_start = true;
    is_tty = start.tty;
    is_detached = start.detach;
    session->SendStarted(1);
  }
  void OnStdin(absl::string_view bytes) override {
    if (!has_start || is_detached || has_end || bytes.empty()) abort();
    held += bytes.size();
    if (held > kDefaultWindow) abort();  // more than was offered
  }
  void OnStdinEnd() override {
    if (!has_start || is_detached || has_end) abort();
    has_end = true;
  }
  void OnWindowSize(const WindowSize&) override {
    if (!is_tty) abort();
  }
  void OnSignal(uint8_t number) override {
    if (!has_start || is_detached || number == 0 || number > kMaxSignal) {
      abort();
    }
  }
  ServerSession* session = nullptr;
  bool has_start = false;
  bool is_tty = false;
  bool is_detached = false;
  bool has_end = false;
  size_t held = 0;
};

}  // namespace

// The first byte chooses the command's habits, the rest is what a client sends.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t habits = data[0];
  Checker checker;
  ServerSession session(&checker);
  checker.session = &session;
  absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t piece = 1 + (habits >> 2) * 37;
  while (!bytes.empty()) {
    const absl::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    if (!session.Receive(input).ok()) {
      if (!session.is_finished()) abort();
      break;
    }
    if ((habits & 1) != 0) {
      session.Consumed(checker.held);
      checker.held = 0;
    }
    if ((habits & 2) != 0) session.Consume(session.pending().size());
    // Whatever credit it was given, its memory is bounded.
    while (const size_t capacity = session.OutputCapacity(Stream::kStdout)) {
      if (capacity > kMaxDataBytes) abort();
      session.SendOutput(Stream::kStdout, std::string(capacity, 'o'));
    }
    if (session.pending().size() > kMaxQueuedBytes + 8 * 1024) abort();
  }
  session.Finish(Exit{});
  // What it says is always its own protocol.
  if ((habits & 2) == 0) {
    Decoder decoder;
    absl::string_view sent = session.pending();
    for (;;) {
      const auto frame = decoder.Next(&sent);
      if (!frame.ok()) abort();
      if (!frame->has_value()) break;
    }
    if (decoder.is_inside_frame()) abort();
  }
  return 0;
}
