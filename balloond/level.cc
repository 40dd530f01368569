#include "balloond/level.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/time/time.h"
#include "balloond/policy.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {
namespace {

using Guest = Snapshot::Guest;
using level_internal::FindLevel;
using level_internal::Party;

// Assumed where a VM's resident memory is unknown. Above one half, or the gap
// between host and guests would grow from round to round.
constexpr double kUnknownYield = 0.67;

// A kernel and its services do not live in less.
constexpr int64_t kLeastVisible = 256 * kMiB;

// The weight of the host's reclaimable memory falls in a straight line between
// these shares of time under pressure: what is being fought over is not
// available (ChromeOS platform2 vm_tools/concierge/mm).
constexpr double kPressureFull = 5;
constexpr double kPressureNone = 60;

// Changes below both are not worth a guest's time.
constexpr int64_t kLeastChange = 4 * kMiB;
constexpr double kLeastShare = 0.02;

int64_t Scaled(int64_t amount, double factor) {
  return static_cast<int64_t>(
      std::llround(static_cast<double>(amount) * factor));
}

int64_t Critical(const Snapshot& snapshot, const Guest& guest) {
  return std::min(snapshot.settings.critical_guest_available, guest.memory / 4);
}

int64_t HostCritical(const Snapshot& snapshot) {
  return HostReserve(snapshot.settings.critical_host_percent,
                     snapshot.host_total);
}

int64_t HostHeadroom(const Snapshot& snapshot) {
  const double weight = std::clamp(
      (kPressureNone - snapshot.pressure) / (kPressureNone - kPressureFull),
      0.0, 1.0);
  const int64_t reclaimable =
      std::max<int64_t>(0, snapshot.host_available - snapshot.host_free);
  return snapshot.host_available - Scaled(reclaimable, 1 - weight) -
         HostCritical(snapshot);
}

double Yield(const Guest& guest) {
  if (!guest.resident) return kUnknownYield;
  const int64_t takable = guest.free + guest.caches;
  if (takable <= 0) return 1;
  const int64_t untouched = guest.memory - guest.balloon - *guest.resident;
  return 1 - std::clamp(
                 static_cast<double>(untouched) / static_cast<double>(takable),
                 0.0, 1.0);
}

int64_t Bias(const Snapshot& snapshot, const Guest& guest) {
  // The largest balloon that is usual leaves a quarter of the memory.
  const int64_t full = guest.memory - guest.memory / 4;
  if (full <= 0) return 0;
  return Scaled(
      snapshot.settings.guest_available_bias,
      std::clamp(static_cast<double>(guest.balloon) / static_cast<double>(full),
                 0.0, 1.0));
}

Party PartyOf(const Snapshot& snapshot, const Guest& guest) {
  const int64_t critical = Critical(snapshot, guest);
  const int64_t keep =
      std::max({kLeastVisible, guest.memory / 8, guest.guaranteed});
  Party party;
  party.headroom = guest.usable - critical - Bias(snapshot, guest);
  party.low = -guest.balloon;
  party.high =
      guest.can_inflate
          ? std::max<int64_t>(0, std::min(guest.usable - critical,
                                          guest.memory - keep - guest.balloon))
          : 0;
  party.yield = Yield(guest);
  return party;
}

}  // namespace

namespace level_internal {

int64_t FindLevel(int64_t host_headroom, const std::vector<Party>& parties) {
  const auto host_at = [&](int64_t level) {
    double sum = static_cast<double>(host_headroom);
    for (const Party& party : parties) {
      const int64_t change =
          std::clamp(party.headroom - level, party.low, party.high);
      sum += change > 0 ? party.yield * static_cast<double>(change)
                        : static_cast<double>(change);
    }
    return sum;
  };
  // What the host has falls with the level, so the two meet once. The bounds
  // are beyond anything that 4096 guests of 16 TiB could sum up to.
  int64_t low = -(int64_t{1} << 60);
  int64_t high = int64_t{1} << 60;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (host_at(middle) > static_cast<double>(middle)) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return high;
}

}  // namespace level_internal

std::vector<bool> LevelPolicy::DueSamples(const Snapshot& snapshot) const {
  return std::vector<bool>(snapshot.guests.size(), true);
}

std::vector<Wish> LevelPolicy::Decide(const Snapshot& snapshot) const {
  const int64_t host = HostHeadroom(snapshot);
  std::vector<size_t> members;
  std::vector<Party> parties;
  std::vector<Wish> wishes(snapshot.guests.size());
  for (size_t i = 0; i < snapshot.guests.size(); ++i) {
    const Guest& guest = snapshot.guests[i];
    wishes[i].balloon = guest.target;
    // Acting twice on one sample would swing.
    if (!guest.has_sample || !guest.is_fresh) continue;
    members.push_back(i);
    parties.push_back(PartyOf(snapshot, guest));
  }
  const int64_t level = FindLevel(host, parties);

  // The neediest come first to what there is.
  std::vector<size_t> order(members.size());
  for (size_t k = 0; k < order.size(); ++k) order[k] = k;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return parties[a].headroom < parties[b].headroom;
  });
  // Only what the host has now is handed out; what this round asks for comes
  // later, or never. Those below their critical amount may have half of what
  // the host keeps for itself.
  int64_t till = std::max<int64_t>(0, host);
  int64_t emergency = std::max<int64_t>(0, host + HostCritical(snapshot) / 2);
  for (const size_t k : order) {
    const Guest& guest = snapshot.guests[members[k]];
    const Party& party = parties[k];
    int64_t change = std::clamp(party.headroom - level, party.low, party.high);
    const bool is_short =
        guest.usable < Critical(snapshot, guest) || party.headroom < 0;
    if (change < 0) {
      change = -std::min(-change, is_short ? emergency : till);
    }
    const bool is_urgent = is_short || host < kMiB || party.headroom < kMiB;
    const int64_t least =
        is_urgent
            ? kMiB
            : std::max(kLeastChange,
                       Scaled(std::min(party.headroom, host), kLeastShare));
    if (std::abs(change) < least) continue;
    if (change < 0) {
      till = std::max<int64_t>(0, till + change);
      emergency = std::max<int64_t>(0, emergency + change);
    }
    Wish& wish = wishes[members[k]];
    wish.balloon = guest.balloon + change;
    wish.reason = change < 0 && is_short   ? Reason::kGuestShort
                  : change > 0 && host < 0 ? Reason::kHostShort
                                           : Reason::kShared;
  }
  return wishes;
}

absl::Duration PressureInterval(const Settings& settings, double pressure) {
  if (settings.psi_ceiling <= 0) return settings.poll_interval;
  const double share = std::clamp(pressure / settings.psi_ceiling, 0.0, 1.0);
  return settings.poll_interval -
         (settings.poll_interval - settings.min_poll_interval) * share;
}

absl::Duration LevelPolicy::UntilNextRound(const Snapshot& snapshot) const {
  const Settings& settings = snapshot.settings;
  // Half of the time in which what there is would be used up by growth as it
  // was seen of late.
  double exhaustion = std::numeric_limits<double>::infinity();
  bool is_calm = snapshot.pressure == 0;
  const auto consider = [&](int64_t amount, int64_t rate) {
    if (rate <= 0) return;
    exhaustion = std::min(
        exhaustion, 0.5 * static_cast<double>(std::max<int64_t>(0, amount)) /
                        static_cast<double>(rate));
  };
  consider(snapshot.host_available, snapshot.host_growth_rate);
  for (const Guest& guest : snapshot.guests) {
    if (!guest.has_sample) {
      is_calm = false;
      continue;
    }
    // A guest with an empty balloon has all that could be given to it.
    if (guest.balloon == 0 && guest.target == 0) continue;
    is_calm = false;
    consider(guest.usable, guest.growth_rate);
  }
  const absl::Duration longest =
      is_calm ? std::max(settings.calm_interval, settings.poll_interval)
              : PressureInterval(settings, snapshot.pressure);
  return std::clamp(std::min(longest, absl::Seconds(exhaustion)),
                    settings.min_poll_interval, longest);
}

}  // namespace vmsilo::balloond
