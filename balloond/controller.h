#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// What decides over the memory of host and guests, without I/O and without a
// clock: values in, values out. The daemon drives it with real VMs, the
// simulator with made-up ones.
//
// All amounts are bytes, signed, so that a difference is never taken for a
// huge number. "Balloon" is what a guest has given up: large is poor.
namespace vmsilo::balloond {

// A VM while it is there. Numbers are never used twice, so that what is said
// of a VM that has gone is never taken for its successor's.
using VmId = uint32_t;

// What is known of a VM before it has said anything.
struct VmTraits {
  std::string name;  // decides the order where one is needed
  // Its RAM as configured; 0 if unknown, then it is learned from samples.
  int64_t memory = 0;
  // What stays visible to the guest however short the host is.
  int64_t guaranteed = 0;
  // Never touched: passed-through devices or huge pages (nothing would come
  // back), or the person says so.
  bool is_excluded = false;
  // A person has said how large the balloon is to be.
  std::optional<int64_t> fixed_balloon;
  // The hypervisor has no fresher samples than this.
  absl::Duration min_sample_interval = absl::ZeroDuration();
};

// A look at the host. Costs no guest anything.
struct HostReading {
  int64_t total = 0;
  int64_t available = 0;  // MemAvailable
  int64_t free = 0;       // MemFree
  // Memory pressure, "some", in percent: the larger of avg10 and the share of
  // time since the last reading. 0 if the kernel does not tell.
  double pressure = 0;
  // What each VM occupies; VMs that cannot be looked at are absent.
  std::map<VmId, int64_t> resident;
};

// What a guest says of itself, through its balloon's driver. Hostile: any of
// it can be any number.
struct GuestSample {
  int64_t balloon = 0;            // its size now
  std::optional<int64_t> memory;  // the VM's RAM, from the hypervisor
  std::optional<int64_t> free;
  std::optional<int64_t> caches;
  std::optional<int64_t> available;
  std::optional<int64_t> total;
  std::optional<int64_t> oom_kills;  // since the guest's boot
  // When the guest said so, not when the answer came.
  absl::Time taken;
};

// Why a balloon is moved or left alone, for people.
enum class Reason {
  kNone,          // nothing decided yet
  kBalanced,      // near enough to what it should be
  kShared,        // its share of the memory has changed
  kGuestShort,    // the guest is below its floor
  kHostShort,     // the host is
  kStalled,       // the guest does not follow; target parked
  kBlocked,       // has stalled lately
  kUnmanaged,     // no samples: given back, bit by bit
  kWaiting,       // too new, or the sample is too old
  kExcluded,      // not ours to touch
  kFixed,         // a person's wish
  kGuestRefused,  // the guest took back memory that was asked of it
};
absl::string_view ReasonName(Reason reason);

struct Resize {
  VmId vm = 0;
  int64_t balloon = 0;  // the size to ask for
  Reason reason = Reason::kNone;

  friend bool operator==(const Resize&, const Resize&) = default;
};

// What is known of one VM, for status and metrics. Absent: unknown.
struct VmView {
  VmTraits traits;
  int64_t memory = 0;
  std::optional<GuestSample> sample;  // the last that was usable
  std::optional<int64_t> resident;
  std::optional<int64_t> target;  // last asked for
  Reason reason = Reason::kNone;
  bool is_managed = false;
};

// One round: Begin(), then AddSample() for each VM that Begin() named (their
// order does not matter; an error for one that gave no answer in time), then
// Decide(). Rounds do not overlap. VMs may come and go between any two calls.
//
// Where WaitsForSamples() is false, Decide() follows upon Begin() at once, and
// samples are added when they come, between rounds.
class Controller {
 public:
  virtual ~Controller() = default;

  virtual void AddVm(VmId vm, const VmTraits& traits, absl::Time now) = 0;
  // What is known before from a person or a file has changed.
  virtual void UpdateVm(VmId vm, const VmTraits& traits, absl::Time now) = 0;
  virtual void RemoveVm(VmId vm, absl::Time now) = 0;

  // The VMs to ask for a sample, in order; none is fine.
  virtual std::vector<VmId> Begin(const HostReading& host, absl::Time now) = 0;
  virtual bool WaitsForSamples() const { return true; }
  virtual void AddSample(VmId vm, const absl::StatusOr<GuestSample>& sample,
                         absl::Time now) = 0;
  // The changes to ask for, in the order in which to ask: first those that
  // take, then those that give.
  virtual std::vector<Resize> Decide(const HostReading& host,
                                     absl::Time now) = 0;
  // Whether the hypervisor has taken the request. Not whether the guest has
  // done anything.
  virtual void OnResized(VmId vm, bool is_ok, absl::Time now) = 0;

  // Something happened that cannot wait for the next round: pressure, a guest
  // that moved its balloon by itself.
  virtual void Hurry(absl::Time now) = 0;
  // When the next round is to begin. Holds until any other call.
  virtual absl::Time NextRound() const = 0;

  virtual std::optional<VmView> View(VmId vm) const = 0;
};

}  // namespace vmsilo::balloond
