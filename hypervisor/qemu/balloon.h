#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/value.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/client.h"
#include "hypervisor/qemu/qmp.h"

namespace vmsilo::hypervisor::qemu {

// How long a guest that has never sent statistics gets for its first, before
// it counts as one without a driver. A driver answers within milliseconds.
inline constexpr absl::Duration kFirstStatistics = absl::Milliseconds(100);

// How long to look for an answer that may look like the one before: QEMU dates
// answers in whole seconds, and in an idle guest nothing else changes.
inline constexpr absl::Duration kSettling = absl::Milliseconds(30);

// The value of the property "guest-stats". Absent if it is not that. 2^64-1
// and -1 are what QEMU says for what the guest did not.
std::optional<GuestMemory> ReadGuestStats(const Value& value);

// A query that is under way.
struct BalloonQuestion {
  absl::Time asked;
  bool is_asked = false;  // the timer runs
  absl::Duration wait = absl::Milliseconds(1);
  Value stats;
  absl::Status status;  // of what has been refused on the way
};

// The balloon over QEMU's monitor: hw/virtio/virtio-balloon.c, QEMU 7.2 to 11.
//
// QEMU asks the guest by a timer of whole seconds, and keeps what it says. To
// turn the timer off and on again makes it fire at once, so a query does that,
// then looks until what QEMU keeps is another. The timer's period is so long
// that it never fires by itself: nothing wakes an idle guest but a query.
//
// If the guest still owes an answer from before, QEMU does not ask again; what
// it sends then is as fresh, for a guest collects its figures when it answers.
class QmpBalloonConversation final : public BalloonConversation {
 public:
  Step Query(absl::Time now) override;
  bool is_asking() const override { return question_.has_value(); }
  Step SetSize(Bytes size) override;
  absl::StatusOr<Step> Receive(absl::string_view bytes,
                               absl::Time now) override;
  Step Continue(absl::Time now) override;
  GivenUp GiveUp(Call call) override;
  absl::Status ReceiveEnd() override;

 private:
  // Their numbers are the ids.
  enum class Command {
    kCapabilities = 1,
    kMemory,
    kStopTimer,
    kStartTimer,
    kStats,
    kActual,
    kSetSize,
  };
  enum class Phase { kGreeting, kHandshake, kReady };

  // The last answer that is known to be one to a question.
  struct Confirmed {
    absl::Time asked;
    absl::Time seen;
  };

  void Send(Command command, absl::string_view name,
            absl::string_view arguments, Step* step);
  void Ask(absl::Time now, Step* step);
  void Look(Step* step);
  void SendSize(Bytes size, Step* step);
  absl::Status OnMessage(const QmpMessage& message, absl::Time now, Step* step);
  void OnEvent(const Event& event, Step* step);
  absl::Status OnReply(Command command, absl::StatusOr<Value> reply,
                       absl::Time now, Step* step);
  absl::Status OnActual(const absl::StatusOr<Value>& reply, absl::Time now,
                        Step* step);
  void LookAgain(absl::Time now, Step* step);
  // Absent while what QEMU keeps may yet become an answer to the question.
  std::optional<absl::StatusOr<BalloonSample>> Conclude(Bytes size,
                                                        absl::Time now);
  Bytes BalloonSize(Bytes actual) const;

  QmpReader reader_;
  Phase phase_ = Phase::kGreeting;
  std::vector<Command> expected_;  // the answers, in their order
  bool is_shutting_down_ = false;
  Bytes memory_;
  bool has_statistics_ = true;
  std::optional<BalloonQuestion> question_;
  std::optional<Bytes> wanted_size_;  // to send when ready
  // What QEMU kept when last looked at. Absent: to be looked at before asking,
  // because it may have changed since.
  std::optional<Value> known_;
  std::optional<Confirmed> confirmed_;
};

}  // namespace vmsilo::hypervisor::qemu
