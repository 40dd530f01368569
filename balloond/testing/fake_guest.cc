#include "balloond/testing/fake_guest.h"

#include <functional>
#include <list>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/event_loop.h"
#include "hypervisor/client.h"

namespace vmsilo::balloond {

class FakeGuest::Client final : public hypervisor::BalloonClient {
 public:
  explicit Client(FakeGuest* guest) : guest_(guest) {
    guest_->has_client_ = true;
  }
  ~Client() override {
    guest_->has_client_ = false;
    guest_->owed_ = 0;
    guest_->on_change_ = nullptr;
  }

  void Query(absl::Duration deadline, SampleDone done) override {
    ++guest_->queries_;
    ++guest_->owed_;
    After(deadline, [this, done = std::move(done)](absl::Status status) {
      --guest_->owed_;
      if (status.ok()) status = guest_->error_;
      if (!status.ok()) return done(status);
      done(hypervisor::BalloonSample{.size = guest_->balloon_,
                                     .memory = guest_->memory_,
                                     .guest = guest_->statistics_});
    });
  }

  void SetSize(Bytes size, absl::Duration deadline, Done done) override {
    guest_->asked_.push_back(size);
    if (guest_->owed_ > 0) ++guest_->asked_while_owing_;
    After(deadline, [this, size, done = std::move(done)](absl::Status status) {
      if (status.ok()) status = guest_->resize_error_;
      if (status.ok()) guest_->balloon_ = size;
      done(std::move(status));
    });
  }

  absl::Duration min_sample_interval() const override {
    return absl::Milliseconds(10);
  }

  void OnChange(std::function<void(Bytes)> handler) override {
    guest_->on_change_ = std::move(handler);
  }

 private:
  // `answer` gets an error when the deadline comes first.
  void After(absl::Duration deadline,
             std::function<void(absl::Status)> answer) {
    const bool is_late = guest_->latency_ >= deadline;
    timers_.emplace_front();
    const auto timer = timers_.begin();
    absl::StatusOr<Source> source = guest_->loop_->AddTimer(
        is_late ? deadline : guest_->latency_,
        [this, timer, is_late, answer = std::move(answer)] {
          // The client may be gone after that.
          const std::function<void(absl::Status)> last = answer;
          timers_.erase(timer);
          last(is_late ? absl::DeadlineExceededError("no answer in time")
                       : absl::OkStatus());
          return absl::OkStatus();
        });
    *timer = *std::move(source);
  }

  FakeGuest* guest_;
  std::list<Source> timers_;
};

std::unique_ptr<hypervisor::BalloonClient> FakeGuest::MakeClient() {
  return std::make_unique<Client>(this);
}

void FakeGuest::ChangeBalloon(Bytes size) {
  balloon_ = size;
  if (on_change_) on_change_(size);
}

}  // namespace vmsilo::balloond
