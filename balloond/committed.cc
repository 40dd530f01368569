#include "balloond/committed.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {
namespace {
using Guest = Snapshot::Guest;

// What a guest has free beyond all that it uses, before its growth is answered:
// a look at the host every tenth of a second at 800 MiB a second, the fastest
// that desktops grow.
constexpr int64_t kReserve = 80 * kMiB;
// A guest that is growing goes on for a while: so much longer than a look takes
// is provided for.
constexpr double kLeadSeconds = 0.5;
// The fastest that desktops grow. A look from outside costs no guest anything.
constexpr int64_t kFastestRate = 800 * kMiB;
// How fast a guest that has touched all it has may use it up without being
// seen. Slower than the fastest burst: there are messages to be saved, and
// what was lent beyond the reserve makes up for it.
constexpr int64_t kBlindRate = 300 * kMiB;
// Page cache up to this is taken to be in use, and what the guest has settled
// at.
constexpr int64_t kHotCache = 150 * kMiB;
constexpr int64_t kLeastVisible = 256 * kMiB;
// Smaller changes are not worth a guest's time.
constexpr int64_t kLeastChange = 32 * kMiB;
constexpr double kLeastShare = 0.03;
// Page cache is not read at the same speed all the time.
constexpr double kFluctuation = 2;
// Growth that shows from outside and makes it worth asking what it is for.
constexpr int64_t kGrowthToAsk = 32 * kMiB;
constexpr absl::Duration kShortestInterval = absl::Milliseconds(250);
// Between two samples of a guest whose growth would show, when memory is short:
// what others have freed is wanted.
constexpr absl::Duration kShortInterval = absl::Milliseconds(300);
// With this beyond all needs a sample every poll interval is enough, and with
// more they become rarer in proportion.
constexpr int64_t kAmple = 120 * kMiB;

// A guest that grows by less than this a second is at rest.
constexpr int64_t kRestlessRate = 4 * kMiB;

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

// Of `growth` in `time`, what is no page cache that merely passes through. A
// guest that grows much faster than its cache did has found something else.
int64_t Lasting(const Guest& guest, int64_t growth, absl::Duration time) {
  const auto all = static_cast<double>(growth);
  const double passing = static_cast<double>(guest.cache_rate) *
                         absl::ToDoubleSeconds(time) * kFluctuation;
  return static_cast<int64_t>(
      std::max(guest.lasting_share * all, all - passing));
}

int64_t Reserve(const Snapshot& snapshot) {
  return std::min(kReserve, snapshot.settings.critical_guest_available);
}

int64_t HostKeep(const Snapshot& snapshot) {
  return HostReserve(snapshot.settings.critical_host_percent,
                     snapshot.host_total);
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

Need NeedOf(const Snapshot& snapshot, const Guest& guest) {
  Need need;
  need.most = guest.memory;
  if (!guest.has_sample) {
    // It is only watched. What it occupies grows where we can see it.
    const int64_t occupied = guest.resident.value_or(guest.memory);
    need.base = std::min(guest.memory, occupied);
    need.reserve = std::min(Reserve(snapshot), guest.memory - need.base);
    return need;
  }
  const int64_t pinned = Pinned(guest);
  const int64_t cache = std::max<int64_t>(0, guest.caches - pinned);
  const int64_t hot = std::max(std::min(cache, kHotCache), guest.settled_cache);
  need.base = Used(guest) + pinned + hot + Watermark(guest) +
              Lasting(guest, Growth(guest), guest.age);
  need.base = std::max(
      {need.base, guest.guaranteed, std::min(kLeastVisible, guest.memory / 2)});
  need.base = std::min(need.base, guest.memory);
  const int64_t lead = Lasting(
      guest,
      static_cast<int64_t>(kLeadSeconds * static_cast<double>(guest.surge)),
      absl::Seconds(kLeadSeconds));
  need.reserve = std::min(Reserve(snapshot) + lead, guest.memory - need.base);
  return need;
}

int64_t Budget(const Snapshot& snapshot) {
  int64_t budget = snapshot.host_available - HostKeep(snapshot);
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
  for (const Guest& guest : snapshot.guests)
    needs.push_back(NeedOf(snapshot, guest));
  return Share(needs, Budget(snapshot));
}

absl::Duration Time(int64_t amount, int64_t rate) {
  if (amount <= 0) return absl::ZeroDuration();
  return absl::Seconds(static_cast<double>(amount) /
                       static_cast<double>(std::max<int64_t>(1, rate)));
}

// Whether memory is short, or somebody is about to need more.
bool IsWanted(const Snapshot& snapshot, int64_t level) {
  if (level < 0 || snapshot.pressure > 0) return true;
  return std::any_of(snapshot.guests.begin(), snapshot.guests.end(),
                     [](const Guest& guest) {
                       return guest.has_sample && guest.surge > kRestlessRate;
                     });
}

// How old a guest's sample may become. What a guest has freed shows in samples
// only: where somebody wants it, the less there is beyond all needs the sooner.
absl::Duration SampleInterval(const Snapshot& snapshot, const Guest& guest,
                              int64_t level) {
  const Settings& settings = snapshot.settings;
  const absl::Duration calm =
      std::max(settings.poll_interval, settings.calm_interval);
  const absl::Duration longest =
      IsWanted(snapshot, level)
          ? std::clamp(settings.poll_interval * (static_cast<double>(level) /
                                                 static_cast<double>(kAmple)),
                       std::min(kShortInterval, settings.poll_interval), calm)
          : calm;
  if (guest.target == 0 || !IsBlind(guest)) return longest;
  return std::min(
      std::max(Time(Slack(guest), kBlindRate) * 0.5, kShortestInterval),
      longest);
}

}  // namespace

std::vector<bool> CommittedPolicy::DueSamples(const Snapshot& snapshot) const {
  const int64_t level = SharesOf(snapshot).level;
  std::vector<bool> due(snapshot.guests.size(), false);
  for (size_t i = 0; i < due.size(); ++i) {
    const Guest& guest = snapshot.guests[i];
    if (!guest.has_sample) continue;
    const int64_t growth = Growth(guest);
    const int64_t slack = Slack(guest) + growth;
    due[i] = guest.age >= SampleInterval(snapshot, guest, level) ||
             growth > std::max(kGrowthToAsk, slack / 4);
  }
  return due;
}

std::vector<Wish> CommittedPolicy::Decide(const Snapshot& snapshot) const {
  const Shares shares = SharesOf(snapshot);
  const bool is_host_short =
      snapshot.host_available < HostKeep(snapshot) + kReserve;
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
  const Settings& settings = snapshot.settings;
  const int64_t level = SharesOf(snapshot).level;
  absl::Duration wait = Time(snapshot.host_available - HostKeep(snapshot),
                             snapshot.host_growth_rate) *
                        0.5;
  bool is_calm = snapshot.pressure == 0;
  for (const Guest& guest : snapshot.guests) {
    if (!guest.has_sample) {
      is_calm = false;
      continue;
    }
    wait = std::min(wait, SampleInterval(snapshot, guest, level) - guest.age);
    // A guest with an empty balloon has all that could be given to it.
    if (guest.target == 0) continue;
    is_calm = false;
    wait = std::min(wait, Time(Slack(guest), kFastestRate) * 0.5);
  }
  const absl::Duration longest =
      is_calm ? std::max(settings.calm_interval, settings.poll_interval)
              : settings.poll_interval;
  return std::clamp(wait, settings.min_poll_interval, longest);
}

}  // namespace vmsilo::balloond
