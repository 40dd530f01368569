#include "hypervisor/qemu/qmp.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor::qemu {
namespace {

constexpr int64_t kCapabilitiesId = 1;
constexpr int64_t kCommandId = 2;

absl::Status Broken(absl::string_view what, absl::string_view bytes) {
  return BrokenProtocol(absl::StrCat(what, ": ", Quoted(bytes)));
}

std::string TextOf(const Value* value) {
  const std::string* text = value == nullptr ? nullptr : value->AsString();
  return text == nullptr ? "" : *text;
}

std::optional<int64_t> IdOf(const Value& message) {
  const Value* id = message.Find("id");
  const int64_t* number = id == nullptr ? nullptr : id->AsInteger();
  return number == nullptr ? std::nullopt : std::optional<int64_t>(*number);
}

Greeting GreetingOf(const Value& qmp) {
  const Value* version = qmp.Find("version");
  const Value* numbers = version == nullptr ? nullptr : version->Find("qemu");
  Greeting greeting;
  if (numbers == nullptr) return greeting;
  absl::string_view separator = "";
  for (const absl::string_view part : {"major", "minor", "micro"}) {
    const Value* value = numbers->Find(part);
    const int64_t* number = value == nullptr ? nullptr : value->AsInteger();
    if (number == nullptr) break;
    absl::StrAppend(&greeting.version, separator, *number);
    separator = ".";
  }
  return greeting;
}

VmStatus::State StateOf(absl::string_view word) {
  // RunState in QEMU's qapi/run-state.json.
  struct Row {
    absl::string_view word;
    VmStatus::State state;
  };
  static constexpr Row kRows[] = {
      {"running", VmStatus::State::kRunning},
      {"paused", VmStatus::State::kPaused},
      {"suspended", VmStatus::State::kPaused},
      {"prelaunch", VmStatus::State::kPaused},
      {"debug", VmStatus::State::kPaused},
      {"inmigrate", VmStatus::State::kPaused},
      {"finish-migrate", VmStatus::State::kPaused},
      {"postmigrate", VmStatus::State::kPaused},
      {"restore-vm", VmStatus::State::kPaused},
      {"save-vm", VmStatus::State::kPaused},
      {"shutdown", VmStatus::State::kShutDown},
      {"guest-panicked", VmStatus::State::kFailed},
      {"internal-error", VmStatus::State::kFailed},
      {"io-error", VmStatus::State::kFailed},
      {"watchdog", VmStatus::State::kFailed},
  };
  for (const Row& row : kRows) {
    if (row.word == word) return row.state;
  }
  return VmStatus::State::kOther;
}

absl::string_view CommandOf(Request request) {
  switch (request) {
    case Request::kPressPowerButton:
      return "system_powerdown";
    case Request::kStop:
      return "quit";
    case Request::kQueryStatus:
      return "query-status";
    case Request::kPing:
      break;
  }
  return "";  // the greeting has said it all
}

}  // namespace

absl::StatusOr<QmpMessage> ParseQmpMessage(absl::string_view line) {
  const absl::StatusOr<Value> message = ParseJson(line);
  if (!message.ok()) return Broken("this is no JSON", line);
  if (const Value* qmp = message->Find("QMP")) return GreetingOf(*qmp);
  if (const Value* event = message->Find("event")) {
    const Value* data = message->Find("data");
    return Event{.name = TextOf(event),
                 .data = data == nullptr ? Value() : *data};
  }
  if (const Value* error = message->Find("error")) {
    return ErrorReply{.id = IdOf(*message),
                      .error_class = TextOf(error->Find("class")),
                      .description = TextOf(error->Find("desc"))};
  }
  if (const Value* value = message->Find("return")) {
    return Reply{.id = IdOf(*message), .value = *value};
  }
  return Broken("a message of no known kind", line);
}

absl::StatusOr<std::vector<QmpMessage>> QmpReader::Receive(
    absl::string_view bytes) {
  std::vector<QmpMessage> messages;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const absl::string_view piece = bytes.substr(0, end);
    if (held_.size() + piece.size() > kMaxLineBytes) {
      return BrokenProtocol(
          absl::StrCat("a line of more than ", kMaxLineBytes, " bytes"));
    }
    absl::StrAppend(&held_, piece);
    if (end == absl::string_view::npos) break;
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(held_, "");
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty()) continue;
    VMSILO_ASSIGN_OR_RETURN(QmpMessage message, ParseQmpMessage(text));
    messages.push_back(std::move(message));
  }
  return messages;
}

std::string QmpCommand(absl::string_view command, int64_t id,
                       absl::string_view arguments) {
  return absl::StrCat("{\"execute\":\"", command, "\"",
                      arguments.empty() ? "" : ",\"arguments\":", arguments,
                      ",\"id\":", id, "}\n");
}

absl::Status RefusalOf(const ErrorReply& error) {
  const std::string text =
      absl::StrCat("QEMU refuses: ", Quoted(error.description), " (",
                   Escaped(error.error_class), ")");
  // The classes are the same in all versions, unlike the words.
  for (const absl::string_view absent :
       {"DeviceNotActive", "DeviceNotFound", "KVMMissingCap"}) {
    if (error.error_class == absent) return absl::UnimplementedError(text);
  }
  return absl::FailedPreconditionError(text);
}

absl::Status BrokenProtocol(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("QMP: ", what));
}

absl::StatusOr<Conversation::Step> QmpConversation::Receive(
    absl::string_view bytes) {
  VMSILO_ASSIGN_OR_RETURN(const std::vector<QmpMessage> messages,
                          reader_.Receive(bytes));
  Step all;
  for (const QmpMessage& message : messages) {
    VMSILO_ASSIGN_OR_RETURN(const Step step, OnMessage(message));
    all.send += step.send;
    if (step.is_done) {
      all.is_done = true;
      break;  // what follows are events
    }
  }
  return all;
}

absl::StatusOr<Conversation::Step> QmpConversation::OnMessage(
    const QmpMessage& message) {
  if (const auto* event = std::get_if<Event>(&message)) {
    if (event->name == "SHUTDOWN") is_shutting_down_ = true;
    return Step{};
  }
  if (const auto* greeting = std::get_if<Greeting>(&message)) {
    if (state_ != State::kGreeting) return BrokenProtocol("a second greeting");
    status_.version = greeting->version;
    state_ = State::kCapabilities;
    return Step{.send = QmpCommand("qmp_capabilities", kCapabilitiesId)};
  }
  if (state_ == State::kGreeting)
    return BrokenProtocol("an answer before the greeting");
  const int64_t expected =
      state_ == State::kCapabilities ? kCapabilitiesId : kCommandId;
  if (const auto* error = std::get_if<ErrorReply>(&message)) {
    // Without an id QEMU has not understood us, whatever it was that we sent.
    if (error->id && *error->id != expected) {
      return BrokenProtocol("an error for another command");
    }
    return RefusalOf(*error);
  }
  const auto& reply = std::get<Reply>(message);
  if (reply.id != expected)
    return BrokenProtocol("an answer to another command");
  if (state_ == State::kCapabilities) {
    const absl::string_view command = CommandOf(request_);
    if (command.empty()) {
      state_ = State::kDone;
      return Step{.is_done = true};
    }
    state_ = State::kCommand;
    return Step{.send = QmpCommand(command, kCommandId)};
  }
  VMSILO_RETURN_IF_ERROR(OnReturn(reply));
  state_ = State::kDone;
  return Step{.is_done = true};
}

absl::Status QmpConversation::OnReturn(const Reply& reply) {
  if (request_ == Request::kQueryStatus) return OnStatus(reply.value);
  return absl::OkStatus();
}

absl::Status QmpConversation::OnStatus(const Value& value) {
  const Value* word = value.Find("status");
  if (word == nullptr || word->AsString() == nullptr) {
    return BrokenProtocol("query-status without a status");
  }
  status_.word = *word->AsString();
  status_.state = StateOf(status_.word);
  return absl::OkStatus();
}

absl::Status QmpConversation::ReceiveEnd() {
  // QEMU may be gone before it has answered "quit"; the aim is reached.
  if (request_ == Request::kStop &&
      (state_ == State::kCommand || is_shutting_down_)) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(is_shutting_down_
                                    ? "QEMU is shutting down"
                                    : "QEMU closed the connection");
}

}  // namespace vmsilo::hypervisor::qemu
