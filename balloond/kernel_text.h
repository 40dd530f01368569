#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// What the kernel's files say of memory. Pure.
namespace vmsilo::balloond {

// One page of text. /proc/meminfo prints 1.5 kB on Linux 6.18, the others a
// hundred bytes.
inline constexpr size_t kMaxKernelText = 4096;

// Bytes.
struct Meminfo {
  int64_t total = 0;
  int64_t free = 0;
  int64_t available = 0;

  friend bool operator==(const Meminfo&, const Meminfo&) = default;
};

// Parses /proc/meminfo (man 5 proc). Other lines are skipped. InvalidArgument
// if one of the three is missing, repeated, or no number of kB.
absl::StatusOr<Meminfo> ParseMeminfo(absl::string_view text);

// "some": at least one task waited for memory.
struct Pressure {
  double avg10 = 0;           // percent, over the last 10 s
  absl::Duration total = {};  // since boot

  friend bool operator==(const Pressure&, const Pressure&) = default;
};

// Parses /proc/pressure/memory (Linux Documentation/accounting/psi.rst): the
// line "some". Fields come in any order, and other lines and unknown fields
// are skipped. InvalidArgument if line, avg10 or total is missing or repeated,
// or a share exceeds 100.
absl::StatusOr<Pressure> ParsePressure(absl::string_view text);

// The path of a process's control group below the root of the unified
// hierarchy, such as "/system.slice/a.service", from /proc/PID/cgroup (man 7
// cgroups). NotFound if the process has none there (cgroup v1 alone),
// InvalidArgument for what is not of that form or would lead elsewhere.
absl::StatusOr<std::string> ParseCgroup(absl::string_view text);

// What the processes of a control group have that only they can give up, from
// its memory.stat (Linux Documentation/admin-guide/cgroup-v2.rst): "anon" and
// "shmem", which is where hypervisors have their guests' memory. Not "file":
// the page cache of their disks, which the kernel counts as available.
// InvalidArgument if one is missing or repeated.
absl::StatusOr<int64_t> ParseOccupied(absl::string_view text);

// Pressure as of now: the average is late by seconds, but the total is brought
// up to date whenever the file is read.
class PressureMeter {
 public:
  // Percent: the larger of the average and the share of the time since the
  // last reading that was a shortest span ago.
  double Update(const Pressure& pressure, absl::Time now);

  // How much was waited since the last Update(). Changes nothing.
  absl::Duration Since(const Pressure& pressure) const;

 private:
  absl::Time measured_at_ = absl::InfinitePast();
  absl::Duration measured_;
  double share_ = 0;
  absl::Duration last_;
};

}  // namespace vmsilo::balloond
