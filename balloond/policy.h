#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/settings.h"

namespace vmsilo::balloond {

inline constexpr int64_t kMiB = int64_t{1} << 20;

// The world as a policy sees it: complete, plausible, no number that could
// overflow. The balancer has sorted out the rest.
struct Snapshot {
  struct Guest {
    VmId vm = 0;
    int64_t memory = 0;      // the VM's RAM
    int64_t guaranteed = 0;  // stays visible to it
    // What is asked of it at present: the last target, or where none is known
    // the size that it had.
    int64_t target = 0;
    // False for a guest that is only watched: excluded, silent, too new. Then
    // the fields below it hold nothing.
    bool has_sample = false;
    bool is_fresh = false;  // the sample came in this round
    int64_t balloon = 0;
    int64_t free = 0;
    int64_t caches = 0;
    // What it could use without harm: min(free + caches, available).
    int64_t usable = 0;
    absl::Duration age;  // of the sample
    // How long a sample takes to come, with its age at that time.
    absl::Duration latency;
    // What the VM occupied when the sample was taken, and does now.
    std::optional<int64_t> resident_then;
    std::optional<int64_t> resident;
    // The fastest growth of late, bytes per second.
    int64_t growth_rate = 0;
    // Its growth at this moment, as far as it shows outside.
    int64_t surge = 0;
    // The part of its growth that was not page cache, when it grew last.
    double lasting_share = 1;
    // How fast its page cache grew then, bytes per second.
    int64_t cache_rate = 0;
    // Page cache that it goes on using, as far as can be told: what it had
    // when it could have had more.
    int64_t settled_cache = 0;
    // Whether more may be asked of it. Giving is always possible.
    bool can_inflate = false;
  };

  Settings settings;
  int64_t host_total = 0;
  int64_t host_available = 0;
  int64_t host_free = 0;
  double pressure = 0;           // percent
  int64_t host_growth_rate = 0;  // bytes per second
  std::vector<Guest> guests;     // in the order of their names
};

// What a policy wants of one guest.
struct Wish {
  int64_t balloon = 0;  // equal to the guest's target: leave it
  Reason reason = Reason::kBalanced;
};

// A policy is a pair of pure functions.
class Policy {
 public:
  virtual ~Policy() = default;

  // Whether a decision needs the samples that this round asked for. If not, it
  // goes by what is known, and another round follows when they have come.
  virtual bool WaitsForSamples() const = 0;
  // Which guests to ask for a sample now, by position in the snapshot.
  virtual std::vector<bool> DueSamples(const Snapshot& snapshot) const = 0;
  // One wish a guest.
  virtual std::vector<Wish> Decide(const Snapshot& snapshot) const = 0;
  // How long nothing can go wrong that another look could prevent.
  virtual absl::Duration UntilNextRound(const Snapshot& snapshot) const = 0;
};

}  // namespace vmsilo::balloond
