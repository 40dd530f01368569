#include "hypervisor/qemu/balloon.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

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
#include "hypervisor/qemu/device_ids.h"
#include "hypervisor/qemu/qmp.h"

namespace vmsilo::hypervisor::qemu {
namespace {

// Of the timer for statistics, in seconds: a day.
constexpr int64_t kTimerSeconds = 86400;

// What QEMU keeps is dated in whole seconds.
constexpr absl::Duration kDateUnit = absl::Seconds(1);

constexpr absl::string_view kStatistics = "guest-stats";
constexpr absl::string_view kInterval = "guest-stats-polling-interval";

// Arguments of qom-get and qom-set.
std::string Property(absl::string_view name,
                     std::optional<int64_t> value = std::nullopt) {
  std::string out = absl::StrCat(R"({"path":"/machine/peripheral/)", kBalloonId,
                                 R"(","property":")", name, "\"");
  if (value) absl::StrAppend(&out, ",\"value\":", *value);
  return out + "}";
}

absl::Status NoDriver() {
  return absl::UnavailableError("the guest has no balloon driver (yet)");
}

std::optional<uint64_t> LastUpdate(const Value& stats) {
  return CountReader(&stats).Count("last-update");
}

template <typename T>
void DropUnset(std::optional<T>* value) {
  if (*value == T(std::numeric_limits<uint64_t>::max())) value->reset();
}

}  // namespace

std::optional<GuestMemory> ReadGuestStats(const Value& value) {
  CountReader stats(value.Find("stats"));
  GuestMemory guest;
  guest.free = stats.Size("stat-free-memory");
  guest.total = stats.Size("stat-total-memory");
  guest.available = stats.Size("stat-available-memory");
  guest.caches = stats.Size("stat-disk-caches");
  guest.swapped_in = stats.Count("stat-swap-in");
  guest.swapped_out = stats.Count("stat-swap-out");
  guest.major_faults = stats.Count("stat-major-faults");
  guest.oom_kills = stats.Count("stat-oom-kills");
  guest.allocation_stalls = stats.Count("stat-alloc-stalls");
  if (stats.is_broken() || !LastUpdate(value)) return std::nullopt;
  for (auto* size :
       {&guest.free, &guest.total, &guest.available, &guest.caches}) {
    DropUnset(size);
  }
  for (auto* count :
       {&guest.swapped_in, &guest.swapped_out, &guest.major_faults,
        &guest.oom_kills, &guest.allocation_stalls}) {
    DropUnset(count);
  }
  return guest;
}

BalloonConversation::Step QmpBalloonConversation::Query(absl::Time now) {
  Step step;
  question_.emplace();
  if (phase_ == Phase::kReady) Ask(now, &step);
  return step;
}

BalloonConversation::Step QmpBalloonConversation::SetSize(Bytes size) {
  Step step;
  if (phase_ == Phase::kReady) {
    SendSize(size, &step);
  } else {
    wanted_size_ = size;
  }
  return step;
}

BalloonConversation::Step QmpBalloonConversation::Continue(absl::Time) {
  Step step;
  if (question_ && question_->is_asked) Look(&step);
  return step;
}

void QmpBalloonConversation::Send(Command command, absl::string_view name,
                                  absl::string_view arguments, Step* step) {
  step->send += QmpCommand(name, static_cast<int64_t>(command), arguments);
  expected_.push_back(command);
}

void QmpBalloonConversation::Ask(absl::Time now, Step* step) {
  question_->asked = now;
  if (!has_statistics_) {
    Look(step);
    return;
  }
  if (!known_) Send(Command::kStats, "qom-get", Property(kStatistics), step);
  Send(Command::kStopTimer, "qom-set", Property(kInterval, 0), step);
  Send(Command::kStartTimer, "qom-set", Property(kInterval, kTimerSeconds),
       step);
}

void QmpBalloonConversation::Look(Step* step) {
  question_->is_asked = true;
  if (has_statistics_) {
    Send(Command::kStats, "qom-get", Property(kStatistics), step);
  }
  Send(Command::kActual, "query-balloon", "", step);
}

void QmpBalloonConversation::SendSize(Bytes size, Step* step) {
  if (size >= memory_) {
    step->resized = absl::FailedPreconditionError(absl::StrCat(
        "a balloon of ", size.count(), " bytes in a VM of ", memory_.count()));
    return;
  }
  // QEMU is told what is to be left to the guest.
  Send(Command::kSetSize, "balloon",
       absl::StrCat("{\"value\":", memory_.count() - size.count(), "}"), step);
}

Bytes QmpBalloonConversation::BalloonSize(Bytes actual) const {
  return actual < memory_ ? Bytes(memory_.count() - actual.count()) : Bytes();
}

absl::StatusOr<BalloonConversation::Step> QmpBalloonConversation::Receive(
    absl::string_view bytes, absl::Time now) {
  VMSILO_ASSIGN_OR_RETURN(const std::vector<QmpMessage> messages,
                          reader_.Receive(bytes));
  Step step;
  for (const QmpMessage& message : messages) {
    VMSILO_RETURN_IF_ERROR(OnMessage(message, now, &step));
  }
  return step;
}

absl::Status QmpBalloonConversation::OnMessage(const QmpMessage& message,
                                               absl::Time now, Step* step) {
  if (const auto* event = std::get_if<Event>(&message)) {
    OnEvent(*event, step);
    return absl::OkStatus();
  }
  if (std::holds_alternative<Greeting>(message)) {
    if (phase_ != Phase::kGreeting) return BrokenProtocol("a second greeting");
    phase_ = Phase::kHandshake;
    Send(Command::kCapabilities, "qmp_capabilities", "", step);
    Send(Command::kMemory, "query-memory-size-summary", "", step);
    return absl::OkStatus();
  }
  const auto* error = std::get_if<ErrorReply>(&message);
  const auto* reply = std::get_if<Reply>(&message);
  const std::optional<int64_t> id = error != nullptr ? error->id : reply->id;
  if (expected_.empty() || id != static_cast<int64_t>(expected_.front())) {
    return BrokenProtocol("an answer to another command");
  }
  const Command command = expected_.front();
  expected_.erase(expected_.begin());
  if (error != nullptr) return OnReply(command, RefusalOf(*error), now, step);
  return OnReply(command, reply->value, now, step);
}

void QmpBalloonConversation::OnEvent(const Event& event, Step* step) {
  if (event.name == "SHUTDOWN") is_shutting_down_ = true;
  if (event.name != "BALLOON_CHANGE" || phase_ != Phase::kReady) return;
  const std::optional<Bytes> actual = CountReader(&event.data).Size("actual");
  if (actual) step->changed = BalloonSize(*actual);
}

absl::Status QmpBalloonConversation::OnReply(Command command,
                                             absl::StatusOr<Value> reply,
                                             absl::Time now, Step* step) {
  switch (command) {
    case Command::kCapabilities:
      return reply.status();
    case Command::kMemory: {
      VMSILO_RETURN_IF_ERROR(reply.status());
      CountReader sizes(&*reply);
      const std::optional<Bytes> base = sizes.Size("base-memory");
      // Absent where this machine cannot grow.
      const Bytes plugged = sizes.Size("plugged-memory").value_or(Bytes());
      if (!base || sizes.is_broken()) return BrokenProtocol("no memory size");
      memory_ = Bytes(base->count() + plugged.count());
      phase_ = Phase::kReady;
      if (question_) Ask(now, step);
      if (wanted_size_) SendSize(*std::exchange(wanted_size_, {}), step);
      return absl::OkStatus();
    }
    case Command::kSetSize:
      step->resized = reply.status();
      return absl::OkStatus();
    case Command::kActual:
      return OnActual(reply, now, step);
    case Command::kStats:
    case Command::kStopTimer:
    case Command::kStartTimer:
      break;
  }
  if (!question_) return absl::OkStatus();
  if (absl::IsUnimplemented(reply.status())) {
    // A balloon of another name, or none; the question for its size will tell.
    has_statistics_ = false;
  } else {
    question_->status.Update(reply.status());
  }
  if (command == Command::kStats && reply.ok()) {
    (question_->is_asked ? question_->stats : known_.emplace()) =
        *std::move(reply);
  }
  if (command != Command::kStartTimer) return absl::OkStatus();
  Look(step);
  return absl::OkStatus();
}

absl::Status QmpBalloonConversation::OnActual(
    const absl::StatusOr<Value>& reply, absl::Time now, Step* step) {
  if (!question_) return absl::OkStatus();
  question_->status.Update(reply.status());
  if (!question_->status.ok()) {
    step->sample = question_->status;
    known_.reset();
  } else {
    const std::optional<Bytes> actual = CountReader(&*reply).Size("actual");
    if (!actual) return BrokenProtocol("no size of the balloon");
    step->sample = Conclude(BalloonSize(*actual), now);
    if (!step->sample) {
      LookAgain(now, step);
      return absl::OkStatus();
    }
  }
  question_.reset();
  if (absl::IsDataLoss(step->sample->status())) return step->sample->status();
  return absl::OkStatus();
}

void QmpBalloonConversation::LookAgain(absl::Time now, Step* step) {
  if (now - question_->asked >= kDateUnit) {
    // Perhaps it has answered and it was not to be seen. Now it would be.
    *question_ = BalloonQuestion();
    Ask(now, step);
    return;
  }
  step->wait = question_->wait;
  question_->wait *= 2;
}

std::optional<absl::StatusOr<BalloonSample>> QmpBalloonConversation::Conclude(
    Bytes size, absl::Time now) {
  BalloonSample sample = {.size = size, .memory = memory_};
  if (!has_statistics_) return sample;
  sample.guest = ReadGuestStats(question_->stats);
  if (!sample.guest) return BrokenProtocol("statistics of no known form");
  const absl::Duration waited = now - question_->asked;
  if (LastUpdate(question_->stats) == 0) {
    if (waited < kFirstStatistics) return std::nullopt;
    return NoDriver();
  }
  if (question_->stats != known_) {
    confirmed_ = {.asked = question_->asked, .seen = now};
    known_ = std::move(question_->stats);
    sample.age = waited;
    return sample;
  }
  // Within the second of the last answer the next may look the same. If it
  // does, nothing is lost by calling it the last one.
  const bool may_look_the_same =
      confirmed_ && question_->asked - confirmed_->seen < kDateUnit;
  if (!may_look_the_same || waited < kSettling) return std::nullopt;
  sample.age = now - confirmed_->asked;
  known_.reset();
  return sample;
}

BalloonConversation::GivenUp QmpBalloonConversation::GiveUp(Call call) {
  if (call == Call::kSetSize || !expected_.empty()) {
    return {absl::DeadlineExceededError("QEMU has not answered")};
  }
  if (phase_ == Phase::kGreeting) {
    return {absl::DeadlineExceededError(
        "QEMU has not greeted: its monitor serves another program")};
  }
  // Only the guest owes an answer.
  const bool has_driver = LastUpdate(question_->stats) != 0;
  question_.reset();
  known_.reset();
  return {has_driver
              ? absl::DeadlineExceededError("the guest has sent no statistics")
              : NoDriver(),
          /*may_stay=*/true};
}

absl::Status QmpBalloonConversation::ReceiveEnd() {
  return absl::UnavailableError(is_shutting_down_
                                    ? "QEMU is shutting down"
                                    : "QEMU closed the connection");
}

}  // namespace vmsilo::hypervisor::qemu
