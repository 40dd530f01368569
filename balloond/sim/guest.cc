#include "balloond/sim/guest.h"

#include <algorithm>

#include "balloond/sim/trace.h"

namespace vmsilo::balloond::sim {
namespace {

// Less than a page: nothing but rounding.
constexpr double kNothing = 1e-3;

}  // namespace

double Guest::WatermarkOf(double memory) {
  return std::max(16.0, 0.01 * memory);
}

Guest::Guest(double memory, double base_anon)
    : memory_(memory), base_anon_(base_anon), watermark_(WatermarkOf(memory)) {
  Boot();
}

void Guest::Boot() {
  balloon_ = 0;
  target_ = 0;
  anon_ = 0;
  cache_ = 0;
  resident_ = kKernel;
  unmet_ = 0;
  unmet_time_ = 0;
  missing_hot_ = 0;
  up_time_ = 0;
  killed_for_ = 0;
  is_deflating_on_oom_ = false;
}

double Guest::touched_free() const {
  return std::max(0.0, resident_ - kKernel - anon_ - cache_);
}

// As the kernel estimates it: without what it keeps back (the high watermark,
// one and a half of the lowest), and half of the page cache or its low
// watermark, whichever is less.
double Guest::available() const {
  return std::max(0.0, free() - 1.5 * watermark_ + cache_ -
                           std::min(cache_ / 2, 1.25 * watermark_));
}

void Guest::Step(const Demand& demand, double dt, const GuestOptions& options) {
  up_time_ += dt;
  if (!is_frozen_) MoveBalloon(dt, options);
  const bool is_killed = killed_for_ > 0;
  if (is_killed) killed_for_ -= dt;
  MeetDemand(is_killed ? std::min(demand.anon, base_anon_) : demand.anon, dt,
             options);
  FillCache(demand, dt, options);
  if (options.reports_free_pages) {
    // Four fifths of it lie in blocks that are large enough, two seconds
    // after they were last used.
    resident_ -= 0.8 * std::max(0.0, touched_free() - 32) * dt / 2;
  }
}

void Guest::MoveBalloon(double dt, const GuestOptions& options) {
  if (target_ < balloon_) {
    balloon_ -= std::min(options.rates.deflate * dt, balloon_ - target_);
    return;
  }
  const double wanted =
      std::min(options.rates.inflate * dt, target_ - balloon_);
  const double free_before = free();
  const double from_free =
      std::min(wanted, std::max(0.0, free_before - watermark_));
  if (from_free > 0) {
    // Some of the free memory was never touched: the host had not given it.
    resident_ -= from_free * std::min(1.0, touched_free() / free_before);
    balloon_ += from_free;
  }
  const double from_cache =
      std::min({wanted - from_free, options.rates.reclaim * dt, cache_});
  if (from_cache > 0) {
    cache_ -= from_cache;
    resident_ -= from_cache;
    balloon_ += from_cache;
  }
}

void Guest::MeetDemand(double wanted, double dt, const GuestOptions& options) {
  unmet_ = 0;
  if (wanted <= anon_) {
    anon_ = wanted;
  } else {
    const double from_free =
        std::min(wanted - anon_, std::max(0.0, free() - watermark_ / 2));
    resident_ += std::max(0.0, from_free - touched_free());
    anon_ += from_free;
    const double from_cache =
        std::min({wanted - anon_, options.rates.drop_cache * dt, cache_});
    cache_ -= from_cache;
    anon_ += from_cache;
    unmet_ = wanted - anon_;
  }
  if (unmet_ < kNothing) {
    unmet_ = 0;
    unmet_time_ = 0;
    is_deflating_on_oom_ = false;
    return;
  }
  if (options.deflates_on_oom && balloon_ > 0 && !is_frozen_) {
    if (!is_deflating_on_oom_) ++oom_deflations_;
    is_deflating_on_oom_ = true;
    balloon_ -= std::min(balloon_, options.rates.oom * dt);
    return;
  }
  unmet_time_ += dt;
  if (unmet_time_ < kPatience - dt / 2) return;
  anon_ = std::min(anon_, base_anon_);
  unmet_time_ = 0;
  killed_for_ = kAfterKill;
  ++kills_;
}

void Guest::FillCache(const Demand& demand, double dt,
                      const GuestOptions& options) {
  const double wanted =
      demand.io * dt +
      std::min(options.rates.fill_hot * dt, std::max(0.0, demand.hot - cache_));
  const double growth =
      std::min(wanted, std::max(0.0, free() - 1.5 * watermark_));
  if (growth > 0) {
    resident_ += std::max(0.0, growth - touched_free());
    cache_ += growth;
  }
  missing_hot_ =
      demand.hot > 0 ? std::max(0.0, demand.hot - cache_) / demand.hot : 0;
}

}  // namespace vmsilo::balloond::sim
