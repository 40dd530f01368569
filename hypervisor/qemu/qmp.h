#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/value.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"

// QEMU's monitor protocol: QEMU docs/interop/qmp-spec.rst. Observed with QEMU
// 7.2, 10.0 and 11.1.
namespace vmsilo::hypervisor::qemu {

// One line from QEMU. The answers that are asked for here have less than 200
// bytes; the next parts' device lists have some kilobytes.
inline constexpr size_t kMaxLineBytes = 256 * 1024;

struct Greeting {
  std::string version;  // "7.2.22", foreign
};
struct Event {
  std::string name;  // foreign
  Value data;        // null if it has none
};
struct Reply {
  std::optional<int64_t> id;  // absent also where it is no number of ours
  Value value;
};
struct ErrorReply {
  std::optional<int64_t> id;
  std::string error_class;  // foreign
  std::string description;  // foreign
};
using QmpMessage = std::variant<Greeting, Event, Reply, ErrorReply>;

// DataLoss if `line` is none of the four.
absl::StatusOr<QmpMessage> ParseQmpMessage(absl::string_view line);

// Cuts the stream into messages.
class QmpReader {
 public:
  // The messages that `bytes` complete. DataLoss for what is not QMP, and for
  // a line that is too long.
  absl::StatusOr<std::vector<QmpMessage>> Receive(absl::string_view bytes);

  size_t held_bytes() const { return held_.size(); }

 private:
  std::string held_;
};

// A command with its line break. `command` is a plain word, `arguments` a JSON
// object or empty.
std::string QmpCommand(absl::string_view command, int64_t id,
                       absl::string_view arguments = "");

// The status for a command that QEMU refuses: Unimplemented if that is because
// there is no such device, else FailedPrecondition.
absl::Status RefusalOf(const ErrorReply& error);

// DataLoss: QEMU broke its protocol.
absl::Status BrokenProtocol(absl::string_view what);

// Greeting, capabilities, one command. Events may come in between at any time
// and are skipped; an answer with another id is a broken protocol.
class QmpConversation final : public Conversation {
 public:
  explicit QmpConversation(Request request) : request_(request) {}

  std::string Begin() override { return ""; }
  absl::StatusOr<Step> Receive(absl::string_view bytes) override;
  absl::Status ReceiveEnd() override;
  VmStatus status() const override { return status_; }

 private:
  enum class State { kGreeting, kCapabilities, kCommand, kDone };

  absl::StatusOr<Step> OnMessage(const QmpMessage& message);
  absl::Status OnReturn(const Reply& reply);
  absl::Status OnStatus(const Value& value);

  Request request_;
  State state_ = State::kGreeting;
  bool is_shutting_down_ = false;
  QmpReader reader_;
  VmStatus status_;
};

}  // namespace vmsilo::hypervisor::qemu
