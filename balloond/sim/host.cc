#include "balloond/sim/host.h"

#include <algorithm>
#include <cmath>

namespace vmsilo::balloond::sim {
namespace {

// Shares of the host's memory: below the first it frees page cache, below the
// second programs wait, below the third something is killed.
constexpr double kReclaimBelow = 0.015;
constexpr double kStallBelow = 0.006;
constexpr double kKillBelow = -0.003;
// Page cache that no program wants to do without.
constexpr double kCacheKept = 0.02;
constexpr double kCacheAtStart = 0.05;
// MiB a second.
constexpr double kReclaimRate = 1500;
constexpr double kSwapOutRate = 300;
constexpr double kSwapInRate = 50;
constexpr double kSwapStall = 0.8;

}  // namespace

Host::Host(const HostOptions& options)
    : memory_(options.memory),
      swap_(options.swap),
      cache_(kCacheAtStart * options.memory),
      free_(options.memory - cache_) {}

double Host::available() const {
  return free_ + std::max(0.0, cache_ - kCacheKept * memory_) -
         kReclaimBelow * memory_;
}

void Host::Step(double used, double resident, double dt) {
  free_ = memory_ - used - resident - cache_ + swap_used_;
  if (free_ < kReclaimBelow * memory_) {
    const double reclaimed =
        std::min({kReclaimRate * dt, cache_, kReclaimBelow * memory_ - free_});
    cache_ -= reclaimed;
    free_ += reclaimed;
  }
  stall_ = 0;
  if (free_ < kStallBelow * memory_) {
    const double low = kStallBelow * memory_;
    stall_ = std::clamp(0.6 * (low - free_) / low, 0.0, 1.0);
    const double out = std::min(kSwapOutRate * dt, swap_ - swap_used_);
    if (out > 0) {
      swap_used_ += out;
      free_ += out;
      stall_ = std::max(stall_, kSwapStall);
    }
  } else if (swap_used_ > 0 && free_ > 2 * kReclaimBelow * memory_) {
    const double in = std::min(kSwapInRate * dt, swap_used_);
    swap_used_ -= in;
    free_ -= in;
  }
  is_out_of_memory_ = free_ < kKillBelow * memory_ && swap_used_ >= swap_;

  pressure_total_ += stall_ * dt;
  until_average_ -= dt;
  if (until_average_ < dt / 2) {
    const double percent = 100 * (pressure_total_ - total_at_average_) / 2;
    const double keep = std::exp(-0.2);
    avg10_ = avg10_ * keep + percent * (1 - keep);
    total_at_average_ = pressure_total_;
    until_average_ += 2;
  }
}

bool PressureTrigger::Check(double now, double total) {
  if (stall_ <= 0) return false;
  if (total <= last_total_) return false;
  if (now > last_growth_ + window_) {
    // After a quiet window the kernel begins to count anew.
    window_start_ = now;
    window_total_ = last_total_;
    previous_growth_ = 0;
  }
  last_total_ = total;
  last_growth_ = now;
  const double elapsed = now - window_start_;
  double growth = total - window_total_;
  if (elapsed > window_) {
    window_start_ = now;
    window_total_ = total;
    previous_growth_ = growth;
  } else {
    growth += previous_growth_ * (window_ - elapsed) / window_;
  }
  if (growth < stall_ || now < last_event_ + window_) return false;
  last_event_ = now;
  return true;
}

}  // namespace vmsilo::balloond::sim
