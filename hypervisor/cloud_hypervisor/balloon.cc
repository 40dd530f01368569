#include "hypervisor/cloud_hypervisor/balloon.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/balloon_stats.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/api.h"
#include "hypervisor/cloud_hypervisor/http.h"

namespace vmsilo::hypervisor::cloud_hypervisor {
namespace {

absl::Status Unexpected(absl::string_view what, absl::string_view body) {
  return absl::DataLossError(absl::StrCat(
      "Cloud Hypervisor: ", what, " with unexpected content ", Quoted(body)));
}

const Value* Child(const Value* value, absl::string_view key) {
  return value == nullptr ? nullptr : value->Find(key);
}

bool IsSuccess(const HttpResponse& response) {
  return response.code >= 200 && response.code < 300;
}

// A refusal that the program itself has written, and after which the
// connection is good: the HTTP library's own are no arrays.
bool IsOrderlyRefusal(const HttpResponse& response) {
  return response.body.empty() || absl::StartsWith(response.body, "[");
}

// The same refusal, of which we know that it may pass.
absl::Status Passing(const HttpResponse& response) {
  return absl::UnavailableError(ErrorOf(response).message());
}

}  // namespace

std::optional<VmMemory> ParseVmMemory(absl::string_view body) {
  const absl::StatusOr<Value> info = ParseJson(body);
  if (!info.ok()) return std::nullopt;
  const Value* config = info->Find("config");
  const Value* balloon = Child(config, "balloon");
  const Value* state = info->Find("state");
  CountReader memory(Child(config, "memory"));
  CountReader reader(&*info);
  const std::optional<Bytes> configured = memory.Size("size");
  const std::optional<Bytes> actual = reader.Size("memory_actual_size");
  if (!configured || !actual || state == nullptr ||
      state->AsString() == nullptr) {
    return std::nullopt;
  }
  const std::string& word = *state->AsString();
  return VmMemory{.is_running = word == "Running" || word == "Paused" ||
                                word == "BreakPoint",
                  .has_balloon = balloon != nullptr && !balloon->is_null(),
                  .configured = *configured,
                  .actual = *actual};
}

BalloonConversation::Step ApiBalloonConversation::Query(absl::Time now) {
  Step step;
  asked_ = now;
  SendNext(&step);
  return step;
}

BalloonConversation::Step ApiBalloonConversation::SetSize(Bytes size) {
  Step step;
  wanted_size_ = size;
  SendNext(&step);
  return step;
}

void ApiBalloonConversation::SendNext(Step* step) {
  if (current_) return;
  if (wanted_size_) {
    current_ = Request::kResize;
    step->send = HttpRequest(
        "PUT", "/api/v1/vm.resize",
        absl::StrCat("{\"desired_balloon\":", wanted_size_->count(), "}"));
    wanted_size_.reset();
  } else if (asked_ && (!memory_ || !has_statistics_)) {
    current_ = Request::kInfo;
    step->send = HttpRequest("GET", "/api/v1/vm.info");
  } else if (asked_) {
    current_ = Request::kStatistics;
    step->send = HttpRequest("GET", "/api/v1/vm.balloon-stats");
  }
}

absl::StatusOr<BalloonConversation::Step> ApiBalloonConversation::Receive(
    absl::string_view bytes, absl::Time now) {
  VMSILO_ASSIGN_OR_RETURN(const std::optional<HttpResponse> response,
                          reader_.Receive(bytes));
  Step step;
  if (!response) return step;
  if (!current_) return Unexpected("an answer to nothing", response->body);
  const Request request = *std::exchange(current_, std::nullopt);
  const bool is_success = IsSuccess(*response);
  if (!is_success && !IsOrderlyRefusal(*response)) return ErrorOf(*response);
  switch (request) {
    case Request::kInfo:
      VMSILO_RETURN_IF_ERROR(OnInfo(*response, &step));
      break;
    case Request::kStatistics:
      VMSILO_RETURN_IF_ERROR(OnStatistics(*response, now, &step));
      break;
    case Request::kResize:
      step.resized = is_success ? absl::OkStatus() : ErrorOf(*response);
      // 404: there is no VM in the process (yet).
      if (response->code == 404) step.resized = Passing(*response);
      break;
  }
  SendNext(&step);
  return step;
}

absl::Status ApiBalloonConversation::OnInfo(const HttpResponse& response,
                                            Step* step) {
  if (!IsSuccess(response)) {
    // 404 since v53, 500 before: there is no VM in the process (yet).
    Finish(Passing(response), step);
    return absl::OkStatus();
  }
  memory_ = ParseVmMemory(response.body);
  if (!memory_) return Unexpected("vm.info", response.body);
  if (!memory_->has_balloon) {
    Finish(absl::UnimplementedError("the VM has no balloon"), step);
  } else if (!memory_->is_running) {
    Finish(absl::UnavailableError("the VM does not run"), step);
  } else if (!has_statistics_) {
    const uint64_t actual =
        std::min(memory_->actual, memory_->configured).count();
    Finish(BalloonSample{.size = Bytes(memory_->configured.count() - actual),
                         .memory = memory_->configured},
           step);
  }
  return absl::OkStatus();
}

absl::Status ApiBalloonConversation::OnStatistics(const HttpResponse& response,
                                                  absl::Time now, Step* step) {
  if (response.code == 404) {
    has_statistics_ = false;  // vm.info comes next
    return absl::OkStatus();
  }
  if (!IsSuccess(response)) {
    // No driver, a guest that does not answer, or one that is paused.
    Finish(Passing(response), step);
    return absl::OkStatus();
  }
  const absl::StatusOr<Value> value = ParseJson(response.body);
  std::optional<BalloonSample> sample;
  if (value.ok()) sample = ReadBalloonStats(*value);
  if (!sample) return Unexpected("vm.balloon-stats", response.body);
  sample->memory = memory_->configured;
  sample->age = now - *asked_;
  Finish(*sample, step);
  return absl::OkStatus();
}

void ApiBalloonConversation::Finish(absl::StatusOr<BalloonSample> sample,
                                    Step* step) {
  // What keeps the VM from being asked may pass; look anew next time.
  if (!sample.ok()) memory_.reset();
  step->sample = std::move(sample);
  asked_.reset();
}

BalloonConversation::GivenUp ApiBalloonConversation::GiveUp(Call) {
  return {absl::DeadlineExceededError("Cloud Hypervisor has not answered")};
}

absl::Status ApiBalloonConversation::ReceiveEnd() {
  return absl::UnavailableError("Cloud Hypervisor closed the connection");
}

}  // namespace vmsilo::hypervisor::cloud_hypervisor
