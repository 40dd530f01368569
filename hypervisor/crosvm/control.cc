#include "hypervisor/crosvm/control.h"

#include <errno.h>
#include <string.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor::crosvm {
namespace {

absl::Status FromErrno(int64_t error) {
  const std::string text = absl::StrCat(
      "crosvm refuses: error ", error,
      error > 0 && error < 4096
          ? absl::StrCat(" (",
                         strerrordesc_np(static_cast<int>(error)) == nullptr
                             ? "unknown"
                             : strerrordesc_np(static_cast<int>(error)),
                         ")")
          : "");
  if (error == EOPNOTSUPP) return absl::UnimplementedError(text);
  if (error == ENOTCONN) return absl::UnavailableError(text);
  return absl::FailedPreconditionError(text);
}

bool AsksForThreads(Request request) {
  return request == Request::kPing || request == Request::kQueryStatus;
}

// The process of the first virtual CPU: {"0":[pid,tid], ...}.
std::optional<int64_t> PidOf(const Value& threads) {
  const Value* map = threads.Find("pid_tid_map");
  const Value::Table* table = map == nullptr ? nullptr : map->AsTable();
  if (table == nullptr || table->empty()) return std::nullopt;
  const Value::Array* pair = table->front().value.AsArray();
  if (pair == nullptr || pair->empty()) return std::nullopt;
  const int64_t* pid = pair->front().AsInteger();
  return pid == nullptr ? std::nullopt : std::optional<int64_t>(*pid);
}

}  // namespace

std::string EncodeRequest(Request request) {
  switch (request) {
    case Request::kPressPowerButton:
      return "\"Powerbtn\"";
    case Request::kStop:
      return "\"Exit\"";
    case Request::kPing:
    case Request::kQueryStatus:
      break;
  }
  return "\"VcpuPidTid\"";
}

absl::Status UnexpectedAnswer(absl::string_view packet) {
  return absl::DataLossError(
      absl::StrCat("crosvm: unexpected answer ", Quoted(packet)));
}

absl::StatusOr<Value> ParseAnswer(absl::string_view packet) {
  absl::StatusOr<Value> answer = ParseJson(packet);
  if (!answer.ok()) return UnexpectedAnswer(packet);
  if (const Value* error = answer->Find("Err")) {
    const int64_t* number = error->AsInteger();
    return number == nullptr ? UnexpectedAnswer(packet) : FromErrno(*number);
  }
  if (const Value* error = answer->Find("ErrString")) {
    const std::string* text = error->AsString();
    if (text == nullptr) return UnexpectedAnswer(packet);
    return absl::FailedPreconditionError(
        absl::StrCat("crosvm refuses: ", Quoted(*text)));
  }
  return answer;
}

absl::StatusOr<Conversation::Step> ControlConversation::Receive(
    absl::string_view packet) {
  VMSILO_ASSIGN_OR_RETURN(const Value answer, ParseAnswer(packet));
  if (AsksForThreads(request_)) {
    const Value* threads = answer.Find("VcpuPidTidResponse");
    if (threads == nullptr) return UnexpectedAnswer(packet);
    status_.state = VmStatus::State::kRunning;
    status_.word = "answering";
    status_.pid = PidOf(*threads);
    return Step{.is_done = true};
  }
  const std::string* word = answer.AsString();
  if (word == nullptr || *word != "Ok") return UnexpectedAnswer(packet);
  return Step{.is_done = true};
}

absl::Status ControlConversation::ReceiveEnd() {
  // It may end before its answer to "Exit" is out; the aim is reached.
  if (request_ == Request::kStop) return absl::OkStatus();
  return absl::UnavailableError("crosvm closed the connection");
}

}  // namespace vmsilo::hypervisor::crosvm
