#include "hypervisor/cloud_hypervisor/api.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/http.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor::cloud_hypervisor {
namespace {

VmStatus::State StateOf(absl::string_view word) {
  if (word == "Running") return VmStatus::State::kRunning;
  if (word == "Paused" || word == "BreakPoint") return VmStatus::State::kPaused;
  if (word == "Shutdown") return VmStatus::State::kShutDown;
  if (word == "Created") return VmStatus::State::kNone;
  return VmStatus::State::kOther;
}

absl::Status Unexpected(absl::string_view what, absl::string_view body) {
  return absl::DataLossError(absl::StrCat(
      "Cloud Hypervisor: ", what, " with unexpected content ", Quoted(body)));
}

}  // namespace

std::string ErrorText(absl::string_view body) {
  const absl::StatusOr<Value> value = ParseJson(body);
  const Value::Array* array = value.ok() ? value->AsArray() : nullptr;
  if (array == nullptr) return Escaped(absl::StripAsciiWhitespace(body));
  std::vector<std::string> lines;
  for (const Value& line : *array) {
    if (const std::string* text = line.AsString()) {
      lines.push_back(Escaped(*text));
    }
  }
  return absl::StrJoin(lines, ": ").substr(0, kMaxEscapedBytes);
}

absl::Status ErrorOf(const HttpResponse& response) {
  const std::string text = ErrorText(response.body);
  const std::string message =
      absl::StrCat("Cloud Hypervisor refuses: ", response.code,
                   text.empty() ? "" : absl::StrCat(" (", text, ")"));
  switch (response.code) {
    case 404:
      return absl::NotFoundError(message);
    case 429:
    case 503:  // ten connections are all that it serves
      return absl::UnavailableError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

ApiConversation::ApiConversation(Request request) : request_(request) {
  switch (request) {
    case Request::kPressPowerButton:
      call_ = Call::kPowerButton;
      break;
    case Request::kStop:
      call_ = Call::kShutdown;
      break;
    case Request::kPing:
    case Request::kQueryStatus:
      call_ = Call::kPing;
      break;
  }
}

std::string ApiConversation::Begin() { return Encode(call_); }

std::string ApiConversation::Encode(Call call) {
  switch (call) {
    case Call::kInfo:
      return HttpRequest("GET", "/api/v1/vm.info");
    case Call::kPowerButton:
      return HttpRequest("PUT", "/api/v1/vm.power-button");
    case Call::kShutdown:
      return HttpRequest("PUT", "/api/v1/vmm.shutdown");
    case Call::kPing:
      break;
  }
  return HttpRequest("GET", "/api/v1/vmm.ping");
}

absl::StatusOr<Conversation::Step> ApiConversation::Receive(
    absl::string_view bytes) {
  VMSILO_ASSIGN_OR_RETURN(const std::optional<HttpResponse> response,
                          reader_.Receive(bytes));
  if (!response) return Step{};
  const bool is_success = response->code >= 200 && response->code < 300;
  if (call_ == Call::kInfo) {
    VMSILO_RETURN_IF_ERROR(OnInfo(*response));
    return Step{.is_done = true};
  }
  if (!is_success) return ErrorOf(*response);
  if (call_ == Call::kPing) {
    VMSILO_RETURN_IF_ERROR(OnPing(response->body));
    if (request_ == Request::kQueryStatus) {
      call_ = Call::kInfo;
      return Step{.send = Encode(call_)};
    }
  }
  return Step{.is_done = true};
}

absl::Status ApiConversation::OnPing(absl::string_view body) {
  const absl::StatusOr<Value> value = ParseJson(body);
  if (!value.ok() || !value->is_table()) return Unexpected("vmm.ping", body);
  for (const absl::string_view key : {"build_version", "version"}) {
    const Value* version = value->Find(key);
    const std::string* text =
        version == nullptr ? nullptr : version->AsString();
    if (text != nullptr) status_.version = *text;
  }
  const Value* pid = value->Find("pid");
  if (pid != nullptr && pid->AsInteger() != nullptr) {
    status_.pid = *pid->AsInteger();
  }
  return absl::OkStatus();
}

absl::Status ApiConversation::OnInfo(const HttpResponse& response) {
  if (response.code != 200) {
    // 404 since v53, 500 before: there is no VM in the process.
    if (response.code != 404 && response.code != 500) return ErrorOf(response);
    status_.state = VmStatus::State::kNone;
    status_.word = ErrorText(response.body);
    return absl::OkStatus();
  }
  const absl::StatusOr<Value> value = ParseJson(response.body);
  const Value* state = value.ok() ? value->Find("state") : nullptr;
  const std::string* word = state == nullptr ? nullptr : state->AsString();
  if (word == nullptr) return Unexpected("vm.info", response.body);
  status_.word = *word;
  status_.state = StateOf(*word);
  const Value* memory = value->Find("memory_actual_size");
  if (memory != nullptr && memory->AsInteger() != nullptr &&
      *memory->AsInteger() >= 0) {
    status_.memory = Bytes(static_cast<uint64_t>(*memory->AsInteger()));
  }
  return absl::OkStatus();
}

absl::Status ApiConversation::ReceiveEnd() {
  // The process may be gone before its answer is out; the aim is reached.
  if (call_ == Call::kShutdown && !reader_.has_begun()) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("Cloud Hypervisor closed the connection");
}

}  // namespace vmsilo::hypervisor::cloud_hypervisor
