#include "hypervisor/testing/fake_balloon.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {
namespace {

constexpr absl::Duration kMoveInterval = absl::Milliseconds(5);

// The page cache of the made-up guest.
constexpr Bytes kCaches = MiB(100);

Bytes Sum(Bytes a, Bytes b) { return Bytes(a.count() + b.count()); }
Bytes Difference(Bytes a, Bytes b) {
  return Bytes(a > b ? a.count() - b.count() : 0);
}

std::optional<uint64_t> Count(const std::optional<Bytes>& size) {
  return size ? std::optional<uint64_t>(size->count()) : std::nullopt;
}

}  // namespace

FakeBalloon::FakeBalloon(EventLoop* loop) : loop_(loop) { LoadDriver(); }

void FakeBalloon::After(absl::Duration time, Source* source,
                        std::function<void()> action) {
  absl::StatusOr<Source> timer =
      loop_->AddTimer(time, [action = std::move(action)] {
        action();
        return absl::OkStatus();
      });
  CHECK(timer.ok());
  *source = *std::move(timer);
}

void FakeBalloon::set_size(Bytes size) {
  if (size == size_) return;
  size_ = size;
  Changed();
}

void FakeBalloon::LoadDriver() {
  has_driver_ = true;
  MoveLater();
  if (answers_) OnStatistics();
  DrainQueue();
}

void FakeBalloon::ForgetDriver() {
  has_driver_ = false;
  is_owing_ = true;
  last_update_ = 0;
}

void FakeBalloon::set_answers(bool answers) {
  answers_ = answers;
  if (!answers || !has_driver_) return;
  if (std::exchange(must_answer_, false)) OnStatistics();
  MoveLater();
  DrainQueue();
}

void FakeBalloon::DeflateOnOom(Bytes by) { set_size(Difference(size_, by)); }

void FakeBalloon::SetTarget(Bytes size) {
  target_ = size;
  MoveLater();
}

void FakeBalloon::MoveLater() {
  if (!has_driver_ || !answers_ || size_ == target_) return;
  After(kMoveInterval, &move_source_, [this] { Move(); });
}

void FakeBalloon::Move() {
  if (!has_driver_ || !answers_) return;
  const Bytes most = std::max(size_, stuck_at_.value_or(target_));
  const Bytes goal = std::min(target_, most);
  set_size(size_ < goal ? std::min(goal, Sum(size_, step_))
                        : std::max(goal, Difference(size_, step_)));
  if (size_ != goal) MoveLater();
}

void FakeBalloon::Changed() {
  if (waiter_ && *waiter_->adjust == size_) {
    const Queued done = *std::exchange(waiter_, std::nullopt);
    done.reply("\"Ok\"");
  }
  if (!changed_) return;
  has_to_tell_ = true;
  if (!may_tell_) return;
  may_tell_ = false;
  has_to_tell_ = false;
  After(change_interval_, &change_source_, [this] {
    may_tell_ = true;
    if (has_to_tell_) Changed();
  });
  changed_();
}

void FakeBalloon::OnChange(absl::Duration interval,
                           std::function<void()> handler) {
  change_interval_ = interval;
  changed_ = std::move(handler);
}

GuestMemory FakeBalloon::Statistics() const {
  if (statistics_) return *statistics_;
  GuestMemory memory;
  memory.total = memory_;
  memory.caches = kCaches;
  memory.free = Difference(memory_, Sum(size_, Sum(used_, kCaches)));
  memory.available = Sum(*memory.free, kCaches);
  memory.swapped_in = 0;
  memory.swapped_out = 4096;
  memory.major_faults = 167;
  return memory;
}

GuestMemory FakeBalloon::Collect() {
  ++collected_;
  return Statistics();
}

// ---- crosvm ----

void FakeBalloon::CrosvmStats(Reply reply) {
  if (!exists_) {
    reply("{\"Err\":95}");
  } else if (!has_driver_ && checks_driver_) {
    reply("{\"Err\":107}");
  } else {
    queue_.push_back({.reply = std::move(reply)});
    DrainQueue();
  }
}

void FakeBalloon::CrosvmAdjust(Bytes size, bool waits, Reply reply) {
  if (!exists_) {
    reply("{\"Err\":95}");
    return;
  }
  if (!has_driver_ && checks_driver_) {
    reply("{\"Err\":107}");
    return;
  }
  if (!waits || !has_driver_) {
    queue_.push_back({.adjust = size, .reply = std::move(reply)});
    DrainQueue();
    return;
  }
  if (waiter_) waiter_->reply("{\"ErrString\":\"Adjust overriden\"}");
  waiter_ = {.adjust = size, .reply = std::move(reply)};
  SetTarget(size);
  if (size_ == size) Changed();
}

// One after the other; statistics that do not come hold up what is behind.
void FakeBalloon::DrainQueue() {
  while (!queue_.empty() && has_driver_) {
    const Queued& first = queue_.front();
    if (!first.adjust && !answers_) return;
    const Queued next = first;
    queue_.pop_front();
    if (next.adjust) {
      SetTarget(*next.adjust);
      next.reply("\"Ok\"");
    } else {
      next.reply(CrosvmStatsText(size_, Collect()));
    }
  }
}

// ---- Cloud Hypervisor ----

void FakeBalloon::CloudHypervisorStats(Reply reply) {
  if (!exists_ || !has_driver_) {
    reply("");
  } else if (answers_) {
    reply(CloudHypervisorStatsText(size_, Collect()));
  } else {
    After(patience_, &patience_source_,
          [reply = std::move(reply)] { reply(""); });
  }
}

// ---- QEMU ----

void FakeBalloon::SetInterval(int64_t seconds) {
  if (seconds == interval_) return;
  const bool was_off = interval_ == 0;
  interval_ = seconds;
  if (seconds == 0) {
    timer_source_.Reset();
  } else {
    StartTimer(was_off ? absl::ZeroDuration() : absl::Seconds(seconds));
  }
}

void FakeBalloon::StartTimer(absl::Duration after) {
  After(after, &timer_source_, [this] { OnTimer(); });
}

void FakeBalloon::OnTimer() {
  if (is_owing_ || !has_driver_) {
    StartTimer(absl::Seconds(interval_));
    return;
  }
  is_owing_ = true;
  After(answer_delay_, &answer_source_, [this] {
    if (answers_ && has_driver_) {
      OnStatistics();
    } else {
      must_answer_ = true;
    }
  });
}

void FakeBalloon::OnStatistics() {
  kept_ = Collect();
  last_update_ = date_.value_or(last_update_ + 1);
  is_owing_ = false;
  if (interval_ > 0) StartTimer(absl::Seconds(interval_));
}

std::string FakeBalloon::QemuStats() const {
  return QemuStatsText(last_update_ == 0 ? GuestMemory() : kept_, last_update_);
}

// ---- Texts ----

std::string CrosvmStatsText(Bytes size, const GuestMemory& guest) {
  const auto value = [](std::optional<uint64_t> count) {
    return count ? absl::StrCat(*count) : "null";
  };
  return absl::StrCat(
      R"({"BalloonStats":{"stats":{"swap_in":)", value(guest.swapped_in),
      R"(,"swap_out":)", value(guest.swapped_out), R"(,"major_faults":)",
      value(guest.major_faults), R"(,"minor_faults":144258,"free_memory":)",
      value(Count(guest.free)), R"(,"total_memory":)",
      value(Count(guest.total)), R"(,"available_memory":)",
      value(Count(guest.available)), R"(,"disk_caches":)",
      value(Count(guest.caches)),
      R"(,"hugetlb_allocations":0,"hugetlb_failures":0,"shared_memory":null,)",
      R"("unevictable_memory":null},"balloon_actual":)", size.count(), "}}");
}

std::string CloudHypervisorStatsText(Bytes size, const GuestMemory& guest) {
  std::string out =
      absl::StrCat("{\"balloon_actual\":", size.count(), ",\"stats\":{");
  const auto add = [&out](absl::string_view name,
                          std::optional<uint64_t> count) {
    if (count) absl::StrAppend(&out, "\"", name, "\":", *count, ",");
  };
  add("swap_in", guest.swapped_in);
  add("swap_out", guest.swapped_out);
  add("major_faults", guest.major_faults);
  add("free_memory", Count(guest.free));
  add("total_memory", Count(guest.total));
  add("available_memory", Count(guest.available));
  add("disk_caches", Count(guest.caches));
  add("oom_kills", guest.oom_kills);
  add("alloc_stalls", guest.allocation_stalls);
  return absl::StrCat(out, "\"minor_faults\":504067}}");
}

std::string QemuStatsText(const GuestMemory& guest, int64_t last_update) {
  const auto value = [](std::optional<uint64_t> count) {
    return count.value_or(std::numeric_limits<uint64_t>::max());
  };
  return absl::StrCat(
      R"({"stats": {"stat-htlb-pgalloc": 0, "stat-swap-out": )",
      value(guest.swapped_out), R"(, "stat-alloc-stalls": )",
      value(guest.allocation_stalls), R"(, "stat-available-memory": )",
      value(Count(guest.available)), R"(, "stat-htlb-pgfail": 0, )",
      R"("stat-free-memory": )", value(Count(guest.free)),
      R"(, "stat-minor-faults": 768, "stat-major-faults": )",
      value(guest.major_faults), R"(, "stat-total-memory": )",
      value(Count(guest.total)), R"(, "stat-oom-kills": )",
      value(guest.oom_kills), R"(, "stat-swap-in": )", value(guest.swapped_in),
      R"(, "stat-disk-caches": )", value(Count(guest.caches)),
      R"(}, "last-update": )", last_update, "}");
}

}  // namespace vmsilo::hypervisor
