#include "balloond/committed.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {
namespace {

using Guest = Snapshot::Guest;

// What a burst takes before it is seen and answered: bursts of desktops are
// seen at this rate (a second).
constexpr int64_t kBurstRate = 800 * kMiB;
// The shortest time in which a burst is answered: a look at the host every
// tenth of a second, and the time that an answer takes.
constexpr int64_t kReserve = 120 * kMiB;
// Page cache up to this is taken to be in use.
constexpr int64_t kHotCache = 150 * kMiB;
// The share of the host's memory that is kept from guests at any price.
constexpr double kHostKeep = 0.02;
constexpr int64_t kLeastVisible = 256 * kMiB;
constexpr int64_t kLeastChange = 32 * kMiB;
constexpr double kLeastShare = 0.03;
constexpr int64_t kGrowthToAsk = 32 * kMiB;

struct Need {
  int64_t base = 0;     // what it uses
  int64_t reserve = 0;  // what it should have beyond
  int64_t most = 0;     // more makes no sense
};

int64_t Watermark(const Guest& guest) {
  return std::max(16 * kMiB, guest.memory / 100);
}

// Growth since the sample that was seen from outside.
int64_t Growth(const Guest& guest) {
  if (!guest.resident || !guest.resident_then) return 0;
  return std::max<int64_t>(0, *guest.resident - *guest.resident_then);
}

int64_t Used(const Guest& guest) {
  const int64_t used = guest.memory - guest.balloon - guest.free - guest.caches;
  return std::max<int64_t>(0, used);
}

// Cache that cannot be dropped counts as used.
int64_t Pinned(const Guest& guest) {
  return std::max<int64_t>(
      0, guest.free + guest.caches - guest.usable - Watermark(guest));
}

int64_t Visible(const Guest& guest) { return guest.memory - guest.target; }

// What it has left before it is short, as far as can be told from outside.
int64_t Slack(const Guest& guest) {
  return Visible(guest) - Used(guest) - Pinned(guest) -
         std::min(guest.caches - std::min(guest.caches, Pinned(guest)),
                  kHotCache) -
         Growth(guest) - Watermark(guest);
}

// Whether growth could go unnoticed until it hurts: all that it has left has
// been touched before.
bool IsBlind(const Guest& guest) {
  if (!guest.resident) return true;
  return Visible(guest) - *guest.resident < kReserve;
}

Need NeedOf(const Guest& guest) {
  Need need;
  need.most = guest.memory;
  if (!guest.has_sample) {
    // It is only watched. What it occupies grows where we can see it.
    const int64_t occupied = guest.resident.value_or(guest.memory);
    need.base = std::min(guest.memory, occupied);
    need.reserve = std::min(kReserve, guest.memory - need.base);
    return need;
  }
  const int64_t pinned = Pinned(guest);
  const int64_t cache = std::max<int64_t>(0, guest.caches - pinned);
  need.base = Used(guest) + pinned + std::min(cache, kHotCache) +
              2 * Watermark(guest) + Growth(guest);
  need.base = std::max(
      {need.base, guest.guaranteed, std::min(kLeastVisible, guest.memory / 2)});
  need.base = std::min(need.base, guest.memory);
  need.reserve = std::min(kReserve, guest.memory - need.base);
  return need;
}

int64_t Budget(const Snapshot& snapshot) {
  int64_t budget = snapshot.host_available -
                   static_cast<int64_t>(std::llround(
                       static_cast<double>(snapshot.host_total) * kHostKeep));
  for (const Guest& guest : snapshot.guests) {
    // A VM that cannot be looked at occupies at least what its guest says.
    budget += guest.resident.value_or(
        guest.has_sample ? guest.memory - guest.balloon - guest.free
                         : guest.memory);
  }
  return budget;
}

struct Shares {
  std::vector<int64_t> visible;
  int64_t level = 0;  // what each has beyond its need; negative: short
};

// Everybody gets his need and `level` beyond it, the host `level` too.
Shares Share(const std::vector<Need>& needs, int64_t budget) {
  Shares shares;
  shares.visible.resize(needs.size());
  const auto sum_at = [&](int64_t level) {
    int64_t sum = level;
    for (const Need& need : needs) {
      sum += std::min(need.most, need.base + need.reserve + level);
    }
    return sum;
  };
  int64_t all_needs = 0;
  int64_t all_bases = 0;
  for (const Need& need : needs) {
    all_needs += std::min(need.most, need.base + need.reserve);
    all_bases += need.base;
  }
  if (all_needs <= budget) {
    int64_t low = 0;
    int64_t high = budget - all_needs + 1;
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (sum_at(middle) <= budget ? low : high) = middle;
    }
    for (size_t i = 0; i < needs.size(); ++i) {
      shares.visible[i] =
          std::min(needs[i].most, needs[i].base + needs[i].reserve + low);
    }
    shares.level = low;
    return shares;
  }
  shares.level = budget - all_needs;
  if (all_bases <= budget) {
    // Every reserve shrinks by the same factor.
    const double factor = all_needs == all_bases
                              ? 0
                              : static_cast<double>(budget - all_bases) /
                                    static_cast<double>(all_needs - all_bases);
    for (size_t i = 0; i < needs.size(); ++i) {
      shares.visible[i] =
          needs[i].base +
          static_cast<int64_t>(static_cast<double>(needs[i].reserve) * factor);
    }
    return shares;
  }
  // Not even what is in use is there. Those who use most are short, not those
  // who use little: one guest that grows for ever does not starve the others.
  int64_t low = 0;
  int64_t high = budget < 0 ? 1 : budget + 1;
  const auto capped_at = [&](int64_t cap) {
    int64_t sum = 0;
    for (const Need& need : needs) sum += std::min(need.base, cap);
    return sum;
  };
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (capped_at(middle) <= budget ? low : high) = middle;
  }
  for (size_t i = 0; i < needs.size(); ++i) {
    shares.visible[i] = std::min(needs[i].base, low);
  }
  return shares;
}

Shares SharesOf(const Snapshot& snapshot) {
  std::vector<Need> needs;
  needs.reserve(snapshot.guests.size());
  for (const Guest& guest : snapshot.guests) needs.push_back(NeedOf(guest));
  return Share(needs, Budget(snapshot));
}

absl::Duration Time(int64_t amount, int64_t rate) {
  if (amount <= 0) return absl::ZeroDuration();
  return absl::Seconds(static_cast<double>(amount) /
                       static_cast<double>(std::max<int64_t>(1, rate)));
}

}  // namespace

std::vector<bool> CommittedPolicy::DueSamples(const Snapshot& snapshot) const {
  std::vector<bool> due(snapshot.guests.size(), false);
  for (size_t i = 0; i < due.size(); ++i) {
    const Guest& guest = snapshot.guests[i];
    if (!guest.has_sample) continue;
    absl::Duration wait = snapshot.settings.poll_interval;
    if (IsBlind(guest) && guest.target > 0) {
      wait = std::clamp(Time(Slack(guest), kBurstRate) * 0.5,
                        absl::Milliseconds(250), wait);
    }
    due[i] = guest.age >= wait || Growth(guest) > kGrowthToAsk;
  }
  return due;
}

std::vector<Wish> CommittedPolicy::Decide(const Snapshot& snapshot) const {
  const Shares shares = SharesOf(snapshot);
  const bool is_host_short =
      static_cast<double>(snapshot.host_available) <
      static_cast<double>(snapshot.host_total) * kHostKeep +
          static_cast<double>(kReserve);
  std::vector<Wish> wishes(snapshot.guests.size());
  for (size_t i = 0; i < wishes.size(); ++i) {
    const Guest& guest = snapshot.guests[i];
    wishes[i].balloon = guest.target;
    if (!guest.has_sample) continue;
    const int64_t balloon = guest.memory - shares.visible[i];
    const int64_t change = balloon - guest.target;
    const int64_t least = std::max(
        kLeastChange,
        static_cast<int64_t>(static_cast<double>(guest.memory) * kLeastShare));
    if (change > 0) {
      if (!guest.can_inflate) continue;
      if (change < least && !is_host_short) continue;
      wishes[i].reason =
          shares.level < 0 ? Reason::kHostShort : Reason::kShared;
    } else if (change < 0) {
      const bool is_short = Slack(guest) < kReserve * 8 / 10;
      if (-change < least && !(is_short && -change >= kMiB)) continue;
      wishes[i].reason = is_short ? Reason::kGuestShort : Reason::kShared;
    } else {
      continue;
    }
    wishes[i].balloon = balloon;
  }
  return wishes;
}

absl::Duration CommittedPolicy::UntilNextRound(const Snapshot& snapshot) const {
  (void)snapshot;
  return absl::Milliseconds(100);
}

}  // namespace vmsilo::balloond
