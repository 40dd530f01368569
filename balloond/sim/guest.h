#pragma once

#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {

// How fast things go, in MiB a second.
struct Rates {
  double inflate = 600;  // from free memory
  double deflate = 2000;
  double reclaim = 200;      // what of an inflation may come from page cache
  double oom = 256;          // deflation by a guest that is out of memory
  double drop_cache = 2000;  // page cache that gives way to a program
  double fill_hot = 500;     // hot page cache that is read again
};

struct GuestOptions {
  Rates rates;
  // Free pages are reported to the host, which takes them.
  bool reports_free_pages = false;
  // A guest out of memory takes from its balloon before it kills.
  bool deflates_on_oom = true;
};

// What a guest's memory does: a handful of amounts instead of pages.
class Guest {
 public:
  // `base_anon` is what is left of its programs after a kill. MiB.
  explicit Guest(double memory, double base_anon = 0);

  // Begins anew: nothing but the kernel is in memory.
  void Boot();
  // One step of `dt` seconds in which `demand` is wanted.
  void Step(const Demand& demand, double dt, const GuestOptions& options);
  void set_target(double target) { target_ = target; }
  // From now on the balloon does not move.
  void Freeze() { is_frozen_ = true; }

  double memory() const { return memory_; }
  double balloon() const { return balloon_; }
  double target() const { return target_; }
  double anon() const { return anon_; }
  double cache() const { return cache_; }
  double free() const { return memory_ - balloon_ - kKernel - anon_ - cache_; }
  // What the kernel would call available.
  double available() const;
  // Host memory behind it.
  double resident() const { return resident_; }
  // With what its hypervisor has for itself.
  double occupied() const { return resident_ + kOverhead; }
  double watermark() const { return watermark_; }
  bool is_frozen() const { return is_frozen_; }

  // Of the last step: memory that was wanted and could not be had; the share
  // of the hot cache that is not there.
  double unmet() const { return unmet_; }
  double missing_hot() const { return missing_hot_; }
  double up_time() const { return up_time_; }
  // Since the beginning, boots or not.
  int kills() const { return kills_; }
  // Spells of deflation for want of memory.
  int oom_deflations() const { return oom_deflations_; }

  static constexpr double kKernel = 120;   // what the kernel takes for good
  static constexpr double kOverhead = 40;  // what the hypervisor does
  // Unmet for so long with no balloon left: something is killed.
  static constexpr double kPatience = 0.5;
  // What was killed does not come back before.
  static constexpr double kAfterKill = 20;

  static double WatermarkOf(double memory);

 private:
  double touched_free() const;
  void MoveBalloon(double dt, const GuestOptions& options);
  void MeetDemand(double wanted, double dt, const GuestOptions& options);
  void FillCache(const Demand& demand, double dt, const GuestOptions& options);

  double memory_;
  double base_anon_;
  double watermark_;
  double balloon_ = 0;
  double target_ = 0;
  double anon_ = 0;
  double cache_ = 0;
  double resident_ = 0;
  bool is_frozen_ = false;
  bool is_deflating_on_oom_ = false;

  double unmet_ = 0;
  double unmet_time_ = 0;
  double missing_hot_ = 0;
  double up_time_ = 0;
  double killed_for_ = 0;
  int kills_ = 0;
  int oom_deflations_ = 0;
};

}  // namespace vmsilo::balloond::sim
