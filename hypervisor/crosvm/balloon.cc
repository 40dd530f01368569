#include "hypervisor/crosvm/balloon.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/status_macros.h"
#include "common/value.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/balloon_stats.h"
#include "hypervisor/client.h"
#include "hypervisor/crosvm/control.h"

namespace vmsilo::hypervisor::crosvm {

std::string EncodeAdjust(Bytes size, Adjust how) {
  return absl::StrCat(R"({"BalloonCommand":{"Adjust":{"num_bytes":)",
                      size.count(), R"(,"wait_for_success":)",
                      how == Adjust::kAtOnce ? "true" : "false", "}}}");
}

absl::StatusOr<BalloonSample> ParseStats(absl::string_view packet) {
  VMSILO_ASSIGN_OR_RETURN(const Value answer, ParseAnswer(packet));
  const Value* message = answer.Find("BalloonStats");
  const std::optional<BalloonSample> sample =
      message == nullptr ? std::nullopt : ReadBalloonStats(*message);
  if (!sample) return UnexpectedAnswer(packet);
  return *sample;
}

BalloonConversation::Step ControlBalloonConversation::Query(absl::Time now) {
  asked_ = now;
  return {.send = std::string(kStatsRequest)};
}

BalloonConversation::Step ControlBalloonConversation::SetSize(Bytes size) {
  Step step;
  step.send = EncodeAdjust(size, how_);
  if (how_ == Adjust::kAtOnce) {
    step.resized = absl::OkStatus();
  } else {
    is_resizing_ = true;
  }
  return step;
}

absl::StatusOr<BalloonConversation::Step> ControlBalloonConversation::Receive(
    absl::string_view packet, absl::Time now) {
  Step step;
  if (how_ == Adjust::kAtOnce) return step;
  if (asked_) {
    const absl::Duration age = now - *asked_;
    asked_.reset();
    step.sample = ParseStats(packet);
    if (step.sample->ok()) (*step.sample)->age = age;
    if (absl::IsDataLoss(step.sample->status())) return step.sample->status();
    return step;
  }
  if (!std::exchange(is_resizing_, false)) return UnexpectedAnswer(packet);
  const absl::StatusOr<Value> answer = ParseAnswer(packet);
  if (absl::IsDataLoss(answer.status())) return answer.status();
  if (answer.ok()) {
    const std::string* word = answer->AsString();
    if (word == nullptr || *word != "Ok") return UnexpectedAnswer(packet);
  }
  step.resized = answer.status();
  return step;
}

BalloonConversation::GivenUp ControlBalloonConversation::GiveUp(Call call) {
  if (call == Call::kQuery) {
    return {absl::DeadlineExceededError("the guest has sent no statistics"),
            /*may_stay=*/true};
  }
  return {absl::DeadlineExceededError("crosvm has not answered")};
}

absl::Status ControlBalloonConversation::ReceiveEnd() {
  return absl::UnavailableError("crosvm closed the connection");
}

}  // namespace vmsilo::hypervisor::crosvm
