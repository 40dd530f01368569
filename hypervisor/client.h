#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"

namespace vmsilo::hypervisor {

// What a hypervisor says of its VM. All three have less than one would like:
// a field that they cannot tell is absent.
struct VmStatus {
  enum class State {
    kRunning,
    kPaused,    // also: waiting to be started, being migrated
    kShutDown,  // the guest has powered off, the process is still there
    kFailed,    // a guest panic, a disk that fails: it will not go on
    kNone,      // the process has no VM (yet)
    kOther,     // a word that was not known when this was written
  };
  State state = State::kOther;
  // The hypervisor's own word for the state: foreign, for people.
  std::string word;
  // Of the hypervisor: foreign, for people.
  std::string version;
  std::optional<int64_t> pid;
  // The guest's memory less what its balloon has taken.
  std::optional<Bytes> memory;

  friend bool operator==(const VmStatus&, const VmStatus&) = default;
};

// The control socket of one VM, whichever hypervisor it is.
//
// Calls return at once; the answer comes to the handler from the event loop,
// exactly once. Each call has a deadline, which covers connecting and waiting
// for earlier calls. One call is under way at a time, on a connection of its
// own that is closed afterwards, so that no late answer is ever taken for the
// next one, and a monitor that serves one client at a time is free for others.
// A handler may make further calls, and may destroy the client; calls that are
// still outstanding then are dropped without a word.
//
// Unavailable: nobody listens, or the connection ended without an answer.
// DeadlineExceeded: no answer in time. DataLoss: the hypervisor broke its
// protocol. FailedPrecondition: it refuses. Unimplemented: it cannot.
class Client {
 public:
  using Done = std::function<void(absl::Status)>;
  using StatusDone = std::function<void(absl::StatusOr<VmStatus>)>;

  virtual ~Client() = default;

  // Presses the ACPI power button. OK means that the hypervisor has done so;
  // what the guest makes of it is the guest's business.
  virtual void PressPowerButton(absl::Duration deadline, Done done) = 0;

  // Ends the VM and the hypervisor's process at once. The guest is not asked.
  virtual void Stop(absl::Duration deadline, Done done) = 0;

  // Whether the hypervisor answers at all.
  virtual void Ping(absl::Duration deadline, Done done) = 0;

  virtual void QueryStatus(absl::Duration deadline, StatusDone done) = 0;
};

// What a guest's balloon driver says of the guest's memory. Absent: the guest
// did not say. Guest-controlled: any number may be any number.
struct GuestMemory {
  std::optional<Bytes> free;
  std::optional<Bytes> total;
  std::optional<Bytes> available;
  std::optional<Bytes> caches;
  std::optional<uint64_t> swapped_in;  // bytes, since the guest's boot
  std::optional<uint64_t> swapped_out;
  std::optional<uint64_t> major_faults;
  std::optional<uint64_t> oom_kills;
  std::optional<uint64_t> allocation_stalls;

  friend bool operator==(const GuestMemory&, const GuestMemory&) = default;
};

struct BalloonSample {
  Bytes size;  // of the balloon now: what the guest has given up
  // The VM's RAM, where the hypervisor can tell.
  std::optional<Bytes> memory;
  // Absent if the hypervisor has no statistics.
  std::optional<GuestMemory> guest;
  // How old the statistics are at most. Where two samples are in truth one,
  // because the guest had no news yet, the second is the older for it.
  absl::Duration age;

  friend bool operator==(const BalloonSample&, const BalloonSample&) = default;
};

// The balloon of one VM, over connections that stay open: asking costs one
// exchange. Connects when first asked and again after a failure.
//
// Calls return at once; the answer comes to the handler from the event loop,
// exactly once, at its deadline at the latest. A handler may make further
// calls, and may destroy the client; calls that are still outstanding then are
// dropped without a word. One Query() and one SetSize() can be outstanding.
//
// Unavailable: nobody listens, the connection ended, or the guest has no
// driver (yet). DeadlineExceeded: no answer in time. ResourceExhausted: an
// earlier request still has no answer, so that another was not sent; under
// crosvm that lasts until the guest answers or the VM ends, since asking again
// would only make the queue longer. DataLoss: the hypervisor broke its
// protocol. FailedPrecondition: it refuses. Unimplemented: this VM has no
// balloon. NotFound, PermissionDenied: of the socket.
class BalloonClient {
 public:
  using Done = std::function<void(absl::Status)>;
  using SampleDone = std::function<void(absl::StatusOr<BalloonSample>)>;
  using Changed = std::function<void(Bytes size)>;

  virtual ~BalloonClient() = default;

  virtual void Query(absl::Duration deadline, SampleDone done) = 0;

  // Asks the guest for a balloon of `size`, rounded down to a mebibyte. OK
  // means that the hypervisor has taken the request; the guest follows in its
  // own time, or never. The hypervisors do not check: the caller keeps `size`
  // well below the VM's memory.
  //
  // While a Query() has no answer, crosvm can be asked for a smaller balloon
  // only than the one last seen: memory is given back whatever the guest does.
  virtual void SetSize(Bytes size, absl::Duration deadline, Done done) = 0;

  // Called whenever the guest has changed its balloon, where the hypervisor
  // says so (QEMU, at most once a second), while there is a connection.
  virtual void OnChange(Changed changed) = 0;

  // The least time between two queries that the caller is asked to keep: more
  // would bring nothing new, or harm the VM. Not enforced.
  virtual absl::Duration min_sample_interval() const = 0;
};

}  // namespace vmsilo::hypervisor
