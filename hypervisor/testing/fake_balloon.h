#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/event_loop.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {

// A made-up guest's memory and balloon, and what the hypervisors make of it:
// what of it is kept, what blocks what, what is answered with silence.
class FakeBalloon {
 public:
  // To whom has asked, if that is still there.
  using Reply = std::function<void(const std::string&)>;

  explicit FakeBalloon(EventLoop* loop);
  FakeBalloon(const FakeBalloon&) = delete;
  FakeBalloon& operator=(const FakeBalloon&) = delete;

  // ---- The guest; it has been running for long ----

  Bytes memory() const { return memory_; }
  void set_memory(Bytes memory) { memory_ = memory; }
  // What its programs have, besides what they can do without.
  void set_used(Bytes used) { used_ = used; }
  Bytes size() const { return size_; }
  // Moves the balloon at once.
  void set_size(Bytes size);
  // What was asked for last; in balloon bytes, whatever the hypervisor.
  Bytes target() const { return target_; }

  bool exists() const { return exists_; }
  void set_exists(bool exists) { exists_ = exists; }
  bool has_driver() const { return has_driver_; }
  // Its first act is to send statistics, and it follows the target.
  void LoadDriver();
  void UnloadDriver() { has_driver_ = false; }
  // As if there never had been one.
  void ForgetDriver();
  // Without answers it hangs: neither statistics nor a change of the balloon.
  void set_answers(bool answers);
  // How far it moves each 5 ms.
  void set_step(Bytes step) { step_ = step; }
  // It inflates no further than this.
  void set_stuck_at(std::optional<Bytes> size) { stuck_at_ = size; }
  // It takes memory back, whatever was asked of it.
  void DeflateOnOom(Bytes by);

  GuestMemory Statistics() const;
  // Instead of what the guest's memory comes to.
  void set_statistics(std::optional<GuestMemory> statistics) {
    statistics_ = statistics;
  }
  // How often the guest has been made to collect its figures.
  int collected() const { return collected_; }

  // ---- crosvm ----

  // As crosvm from June 2026 on: it knows whether there is a driver.
  void set_checks_driver(bool checks) { checks_driver_ = checks; }
  void CrosvmStats(Reply reply);
  void CrosvmAdjust(Bytes size, bool waits, Reply reply);
  size_t crosvm_queue() const { return queue_.size(); }

  // ---- Cloud Hypervisor ----

  // As version 54.
  bool has_statistics() const { return has_statistics_; }
  void set_has_statistics(bool has) { has_statistics_ = has; }
  // How long it waits for the guest; all else waits with it.
  void set_patience(absl::Duration patience) { patience_ = patience; }
  // Calls with the JSON, or with "" if the guest has not answered.
  void CloudHypervisorStats(Reply reply);
  void SetTarget(Bytes size);

  // ---- QEMU ----

  // The second in which all answers come; without it, each in another.
  void set_date(std::optional<int64_t> date) { date_ = date; }
  void SetInterval(int64_t seconds);
  int64_t interval() const { return interval_; }
  // As qom-get has it.
  std::string QemuStats() const;
  // How long the guest takes to answer.
  void set_answer_delay(absl::Duration delay) { answer_delay_ = delay; }
  // Called at the first change, and with the last one each `interval`.
  void OnChange(absl::Duration interval, std::function<void()> handler);

 private:
  struct Queued {
    std::optional<Bytes> adjust;  // or a request for statistics
    Reply reply;
  };

  void After(absl::Duration time, Source* source, std::function<void()> action);
  void Move();
  void MoveLater();
  void Changed();
  GuestMemory Collect();
  void DrainQueue();
  void StartTimer(absl::Duration after);
  void OnTimer();
  void OnStatistics();

  EventLoop* loop_;
  Bytes memory_ = GiB(1);
  Bytes used_ = MiB(200);
  Bytes size_;
  Bytes target_;
  Bytes step_ = MiB(64);
  std::optional<Bytes> stuck_at_;
  bool exists_ = true;
  bool has_driver_ = false;
  bool answers_ = true;
  std::optional<GuestMemory> statistics_;
  int collected_ = 0;
  Source move_source_;

  bool checks_driver_ = true;
  std::list<Queued> queue_;
  std::optional<Queued> waiter_;

  bool has_statistics_ = true;
  absl::Duration patience_ = absl::Seconds(1);
  Source patience_source_;

  std::optional<int64_t> date_;
  int64_t interval_ = 0;
  bool is_owing_ = true;      // the guest has the buffer for statistics
  bool must_answer_ = false;  // it was asked while it hung
  absl::Duration answer_delay_ = absl::ZeroDuration();
  GuestMemory kept_;
  int64_t last_update_ = 0;
  Source timer_source_;
  Source answer_source_;
  absl::Duration change_interval_;
  std::function<void()> changed_;
  bool may_tell_ = true;
  bool has_to_tell_ = false;
  Source change_source_;
};

// What crosvm and Cloud Hypervisor say, each in its own way.
std::string CrosvmStatsText(Bytes size, const GuestMemory& guest);
std::string CloudHypervisorStatsText(Bytes size, const GuestMemory& guest);
// The value of QEMU's property "guest-stats".
std::string QemuStatsText(const GuestMemory& guest, int64_t last_update);

}  // namespace vmsilo::hypervisor
